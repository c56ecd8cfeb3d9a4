"""What ``DOCKER_HOST`` may say."""

import re

import pytest

from trilemma.errors import EngineMissing
from trilemma.sandbox import address as addresses
from trilemma.sandbox.address import Address


def host(text: str) -> str:
    """The machine that is reached."""
    return Address.from_environment({"DOCKER_HOST": text, "DOCKER_CERT_PATH": "/nowhere"}).host


@pytest.mark.parametrize("text", ["ssh://h", "ssh://u@h.example:2222/run/d.sock", "ssh://[::1]"])
def test_a_machine_is_named(text: str) -> None:
    assert host(text) in text


@pytest.mark.parametrize(
    "text",
    [
        "ssh://u@h\n-oProxyCommand=x",
        "ssh://\t-oProxyCommand=x",
        "ssh://u@-oProxyCommand=x",
        "ssh://-oProxyCommand=x@h",
        "ssh://h;touch /tmp/x",
        "ssh://$(touch${IFS}x)",
        "ssh://u`x`@h",
        "ssh://u@h/${HOME}/docker.sock",
        "tcp://h:2375",
        "unix:///run/a\n.sock",
    ],
)
def test_what_would_be_obeyed_or_read_otherwise_is_refused(text: str) -> None:
    with pytest.raises(EngineMissing) as refused:
        host(text)
    assert "\n" not in str(refused.value)


def test_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(EngineMissing) as refused:
        host("ssh://u:hunter2@h")
    assert "hunter2" not in str(refused.value)


def test_sabotage_without_the_pattern_a_command_would_be_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(addresses, "_PLAIN", re.compile(".*"))
    assert host("ssh://h|touch${IFS}x") == "h|touch${ifs}x"
