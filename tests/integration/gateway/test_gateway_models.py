"""A call of an outside model is use of the internet, unless the operator has a contract."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from trilemma.agent import Agent
from trilemma.client import Client
from trilemma.errors import Denied, ModelError
from trilemma.gateway.ledger.events import Kind
from trilemma.policy.capability import parse

pytest.importorskip("litellm", reason="needs LiteLLM: pip install 'trilemma[models]'")

pytestmark = [pytest.mark.docker, pytest.mark.root]

Make = Callable[..., Any]

READ = ("read_file", '{"path": "a.txt"}')


@dataclass
class Provider:
    """A model at a provider: says what the test wrote for it, and keeps what it was sent."""

    name: str = ""
    """What it is called in a contract: with an address of one's own, that address."""
    says: list[Any] = field(default_factory=list)
    """Texts, or pairs of a tool and its arguments."""
    received: list[str] = field(default_factory=list)

    @property
    def contract(self) -> str:
        """What an operator writes who has a contract with it."""
        return f"providers:\n  under_contract: [{self.name}]\n"


def _chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
    return f"data: {json.dumps(chunk | {'choices': [choice]})}\n\n".encode()


def _stream(said: Any) -> bytes:
    if isinstance(said, str):
        return _chunk({"role": "assistant", "content": said}) + _chunk({}, "stop")
    name, arguments = said
    function = {"name": name, "arguments": arguments}
    call = {"index": 0, "id": "c1", "type": "function", "function": function}
    return _chunk({"role": "assistant", "tool_calls": [call]}) + _chunk({}, "tool_calls")


def _handler(provider: Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            provider.received.append(self.rfile.read(length).decode())
            said = provider.says.pop(0)
            self.send_response(200 if said is not None else 401)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            if said is not None:
                self.wfile.write(_stream(said) + b"data: [DONE]\n\n")

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    return Handler


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    """``openai/...`` leads to it while the test runs."""
    provider = Provider()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(provider))
    provider.name = f"127.0.0.1:{http.server_port}"
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://{provider.name}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-a-key-for-the-test")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield provider
    http.shutdown()
    thread.join()
    http.server_close()


def agent(made: Any, *tools: str, grants: list[str] | None, **fields: Any) -> Agent:
    return Agent(model="openai/gpt-4o", grants=grants, tools=tools, workspace=made.folder, **fields)


def test_without_a_contract_nothing_is_started_and_the_line_to_add_is_said(
    gate: Make, provider: Provider
) -> None:
    made = gate()
    with pytest.raises(Denied) as refused:
        agent(made, "read_file", grants=["files", "code"]).run("Read.", client=Client(made.gateway))
    assert provider.contract.strip() in str(refused.value)
    assert refused.value.reasons == ("outside_model_without_internet",)
    assert made.gateway._machinery is None
    assert made.events(Kind.SESSION_OPENED) == []
    assert provider.received == []


def test_with_exactly_that_line_it_runs(gate: Make, provider: Provider) -> None:
    made = gate(provider.contract)
    provider.says = [READ, "It says canary."]
    reader = agent(made, "read_file", grants=["files", "code"])
    result = reader.run("Read a.txt.", client=Client(made.gateway))
    assert (result.text, result.labels) == ("It says canary.", parse(["files"]))
    assert "canary-4711" in provider.received[1]
    assert len(made.events(Kind.MODEL_COMMITTED)) == 2


def test_where_internet_is_one_of_the_two_no_contract_is_needed(
    gate: Make, provider: Provider
) -> None:
    made = gate()
    provider.says = [READ, "Done."]
    reader = agent(made, "read_file", grants=["files", "internet"])
    assert reader.run("Read a.txt.", client=Client(made.gateway)).ok
    assert made.events(Kind.MODEL_RESERVED)[0].event.takes == parse(["internet"])


def test_what_files_and_code_hold_does_not_go_to_an_outside_model(
    gate: Make, provider: Provider
) -> None:
    made = gate()
    made.open("run_code", files=True).ok("run_code", language="shell", code="cat a.txt")
    with pytest.raises(Denied) as refused:
        agent(made, "read_file", grants=None).run("Read.", client=Client(made.gateway))
    assert "third_capability" in refused.value.reasons
    assert provider.received == []
    assert len(made.events(Kind.MODEL_DENIED)) == 1


def test_sabotage_with_a_contract_the_same_call_arrives(gate: Make, provider: Provider) -> None:
    made = gate(provider.contract)
    provider.says = ["Hello."]
    made.open("run_code", files=True).ok("run_code", language="shell", code="cat a.txt")
    assert agent(made, "read_file", grants=None).run("Hi.", client=Client(made.gateway)).ok
    assert len(provider.received) == 1


def test_a_model_s_own_call_latches_internet(gate: Make, provider: Provider) -> None:
    made = gate()
    code = '{"language": "shell", "code": "touch ran"}'
    provider.says = [("run_code", code), "Refused."]
    denials = agent(made, "run_code", grants=None).run("Run.", client=Client(made.gateway)).denials
    assert [denial.reasons for denial in denials] == [("third_capability",)]
    assert not list(made.gateway.settings.layers.glob("*/upper/ran"))


def test_a_model_that_fails_is_recorded_and_ends_the_run(gate: Make, provider: Provider) -> None:
    made = gate(provider.contract)
    provider.says = [None]
    with pytest.raises(ModelError):
        agent(made, "read_file", grants=["files"]).run("Read.", client=Client(made.gateway))
    assert len(made.events(Kind.MODEL_COMMITTED)) == 1
    assert made.ledger.open_sessions() == []
