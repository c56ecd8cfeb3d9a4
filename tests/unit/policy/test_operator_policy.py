"""The operator's policy file."""

from pathlib import Path
from typing import Any

import pytest

from trilemma.errors import SpecError
from trilemma.policy.operator import EgressPolicy, OperatorPolicy, load_operator_policy
from trilemma.policy.yamltext import validate

FULL = """\
version: 1
providers:
  under_contract: [openai, anthropic]
egress:
  allow:
    - host: Example.ORG.
    - host: "*.example.net"
      ports: [80, 443]
      methods: [GET, POST]
      schemes: [http, https]
  private: [10.0.0.0/8, "10.0.0.7:8443", "[fd00:0::7]:443", "fd00::/8", 192.0.2.1/32]
  hosts:
    Intranet.Example.org: 10.0.0.7
  bytes_out: 1024
  tunnel_bytes_out: 0
approval:
  tools: [run_code]
rego: rules
"""


def read(text: str, tmp_path: Path) -> OperatorPolicy:
    (tmp_path / "policy.yaml").write_text(text)
    return load_operator_policy(tmp_path / "policy.yaml")


def test_a_whole_policy_is_read_and_made_canonical(tmp_path: Path) -> None:
    policy = read(FULL, tmp_path)
    assert policy.providers.under_contract == ("openai", "anthropic")
    assert policy.egress.allow is not None
    assert [rule.host for rule in policy.egress.allow] == ["example.org", "*.example.net"]
    assert policy.egress.allow[0].ports == (443,)
    assert policy.egress.allow[0].methods == ("GET", "HEAD")
    assert policy.egress.private == (
        "10.0.0.0/8",
        "10.0.0.7:8443",
        "[fd00::7]:443",
        "fd00::/8",
        "192.0.2.1",
    )
    assert policy.egress.hosts == {"intranet.example.org": "10.0.0.7"}
    assert (policy.egress.bytes_out, policy.egress.tunnel_bytes_out) == (1024, 0)
    assert policy.approval.tools == ("run_code",)
    assert policy.rego == tmp_path.resolve() / "rules"


def test_the_default_allows_nobody_and_nothing() -> None:
    policy = OperatorPolicy()
    assert policy.providers.under_contract == ()
    assert policy.egress == EgressPolicy()
    assert policy.egress.allow is None
    assert policy.egress.private == ()
    assert policy.egress.bytes_out == 16384
    assert "rego" not in policy.as_data()


def test_a_policy_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        OperatorPolicy().egress = EgressPolicy()


def test_only_a_missing_file_gives_the_default(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    assert load_operator_policy(path, missing_ok=True) == OperatorPolicy()
    with pytest.raises(SpecError, match="No such file"):
        load_operator_policy(path)
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(SpecError, match="No such file"):
        load_operator_policy(path, missing_ok=True)
    path.unlink()
    path.write_text("")
    with pytest.raises(SpecError, match="empty"):
        load_operator_policy(path, missing_ok=True)
    with pytest.raises(SpecError, match="Not a directory"):
        load_operator_policy(path / "below", missing_ok=True)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"version": 2}, "version: input should be 1"),
        ({"verison": 1}, "did you mean 'version'"),
        ({"egress": {"alow": []}}, "egress.alow: unknown field; did you mean 'allow'"),
        ({"rule": "off"}, "rule: unknown field"),
        ({"limit": 3}, "limit: unknown field"),
        ({"providers": {"under_contract": "openai"}}, "should be a valid array"),
        ({"providers": {"under_contract": [""]}}, "should match pattern"),
        ({"egress": {"allow": [{}]}}, "egress.allow[0].host: missing"),
        ({"egress": {"allow": [{"host": "*"}]}}, "'*' is not a host name"),
        ({"egress": {"allow": [{"host": "a", "ports": [0]}]}}, "greater than or equal to 1"),
        ({"egress": {"allow": [{"host": "a", "ports": [True]}]}}, "valid integer"),
        ({"egress": {"allow": [{"host": "a", "schemes": ["ftp"]}]}}, "'http' or 'https'"),
        ({"egress": {"allow": [{"host": "a", "methods": ["get"]}]}}, "should match pattern"),
        ({"egress": {"allow": [{"host": "a", "methods": ["GET", "CONNECT"]}]}}, "tunnels"),
        ({"egress": {"private": ["10.0.0.1/8"]}}, "is not an address or a range"),
        ({"egress": {"private": ["10.0.0.1:0"]}}, "is not an address or a range"),
        ({"egress": {"private": ["10.0.0.1:99999"]}}, "is not an address or a range"),
        ({"egress": {"private": ["10.0.0.0/8:80"]}}, "is not an address or a range"),
        ({"egress": {"private": ["[fd00::7]"]}}, "is not an address or a range"),
        ({"egress": {"private": ["fe80::1%eth0"]}}, "is not an address or a range"),
        ({"egress": {"private": ["localhost"]}}, "is not an address or a range"),
        ({"egress": {"hosts": {"a.example": "b.example"}}}, "is not an address"),
        ({"egress": {"hosts": {"a.example": "fe80::1%eth0"}}}, "is not an address"),
        ({"egress": {"hosts": {"a b": "10.0.0.1"}}}, "is not a host name"),
        ({"egress": {"bytes_out": -1}}, "greater than or equal to 0"),
        ({"egress": {"bytes_out": "1k"}}, "should be a valid integer"),
        ({"approval": {"tools": [7]}}, "should be a valid string"),
    ],
)
def test_a_mistake_is_refused(data: Any, why: str) -> None:
    with pytest.raises(SpecError) as caught:
        validate(OperatorPolicy, data, "policy.yaml")
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)
