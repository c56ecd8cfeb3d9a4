import inspect
from pathlib import Path

import pytest
import requests
from docker import errors as foreign

from trilemma.errors import EngineMissing, ImageMissing, SandboxError
from trilemma.sandbox.engine import TRANSLATED, Engine, translate

# The SDK's own mistakes in building a request; none is raised by the requests we make.
FOREIGN = [
    kind
    for _, kind in inspect.getmembers(foreign, inspect.isclass)
    if issubclass(kind, Exception) and kind.__module__ == foreign.__name__
]


def test_every_exception_of_the_sdk_is_translated() -> None:
    assert len(FOREIGN) > 5
    for kind in [*FOREIGN, *requests.exceptions.RequestException.__subclasses__()]:
        assert issubclass(kind, tuple(TRANSLATED)), kind


def test_a_missing_image_names_the_command() -> None:
    error = translate(foreign.ImageNotFound("no"), image="sha256:abc", where="")
    assert isinstance(error, ImageMissing)
    assert "trilemma image build" in str(error)
    assert "sha256:abc" in str(error)


def test_a_dead_connection_is_a_missing_engine() -> None:
    error = translate(requests.exceptions.ConnectionError(), image="", where="unix:///x")
    assert isinstance(error, EngineMissing)
    assert "unix:///x" in str(error)


def test_what_the_engine_says_is_one_line() -> None:
    error = translate(foreign.APIError("a\nb", explanation="bad\n\nflag"), image="", where="")
    assert type(error) is SandboxError
    assert "\n" not in str(error)
    assert "bad flag" in str(error)


def test_no_engine_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(EngineMissing, match=r"install docker\.io"):
        Engine()


def test_an_engine_is_not_reached_in_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    monkeypatch.setenv("DOCKER_CERT_PATH", "/nowhere")
    with pytest.raises(EngineMissing, match="with TLS only"):
        Engine()
