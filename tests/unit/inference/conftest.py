"""A model server on a real socket that speaks OpenAI's and Anthropic's chat protocols."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class Answer:
    """What the server says next. ``pieces`` are streamed one by one where streaming is asked."""

    pieces: tuple[str, ...] = ()
    calls: tuple[tuple[str, str, str], ...] = ()
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    breaks_off: bool = False
    says_usage: bool = True
    hangs_until: threading.Event | None = None


@dataclass
class ModelServer:
    url: str
    answers: list[Answer] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)


def _handler(server: ModelServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = json.loads(body)
            server.requests.append(request)
            server.paths.append(self.path)
            server.headers.append(dict(self.headers))
            server.arrived.set()
            answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
            if answer.hangs_until is not None:
                answer.hangs_until.wait(30)
            if answer.status != 200 or answer.body:
                self.whole(answer.status, answer.body, answer.headers)
            elif self.path.endswith("/messages"):
                self.stream(answer, _anthropic(request, answer))
            else:
                self.stream(answer, _openai(request, answer))

        def do_GET(self) -> None:
            server.fetched.append(self.path)
            self.whole(200, "", {"Content-Type": "image/png"})

        def whole(self, status: int, body: str, headers: dict[str, str]) -> None:
            data = body.encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def stream(self, answer: Answer, events: Iterator[dict[str, Any]]) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for event in events:
                kind = f"event: {event['type']}\n" if "type" in event else ""
                self.piece(f"{kind}data: {json.dumps(event)}\n\n".encode())
            if answer.breaks_off:
                self.close_connection = True
            else:
                self.piece(b"data: [DONE]\n\n")
                self.piece(b"")

        def piece(self, data: bytes) -> None:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    return Handler


def _tool_calls(answer: Answer) -> list[dict[str, Any]]:
    return [
        {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
        for id, name, arguments in answer.calls
    ]


def _usage() -> dict[str, Any]:
    return {
        "prompt_tokens": 11,
        "completion_tokens": 7,
        "total_tokens": 18,
        "prompt_tokens_details": {"cached_tokens": 5},
    }


def _openai(request: dict[str, Any], answer: Answer) -> Iterator[dict[str, Any]]:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": request["model"],
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        }

    yield chunk({"role": "assistant", "content": ""})
    for piece in answer.pieces:
        yield chunk({"content": piece})
    for index, call in enumerate(_tool_calls(answer)):
        arguments = call["function"]["arguments"]
        half = len(arguments) // 2
        first = call | {"index": index, "function": call["function"] | {"arguments": ""}}
        yield chunk({"tool_calls": [first]})
        for part in (arguments[:half], arguments[half:]):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": part}}]})
    if answer.breaks_off:
        return
    yield chunk({}, "tool_calls" if answer.calls else "stop")
    if answer.says_usage and request.get("stream_options", {}).get("include_usage"):
        yield chunk({}) | {"choices": [], "usage": _usage()}


def _anthropic(request: dict[str, Any], answer: Answer) -> Iterator[dict[str, Any]]:
    opening = {"id": "msg_1", "type": "message", "role": "assistant", "model": request["model"]}
    used = {"input_tokens": 11, "output_tokens": 1}
    yield {"type": "message_start", "message": opening | {"content": [], "usage": used}}
    blocks: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    if answer.pieces:
        deltas = [{"type": "text_delta", "text": piece} for piece in answer.pieces]
        blocks.append(({"type": "text", "text": ""}, deltas))
    for id, name, arguments in answer.calls:
        deltas = [{"type": "input_json_delta", "partial_json": arguments}]
        blocks.append(({"type": "tool_use", "id": id, "name": name, "input": {}}, deltas))
    for index, (block, deltas) in enumerate(blocks):
        yield {"type": "content_block_start", "index": index, "content_block": block}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    stop = "tool_use" if answer.calls else "end_turn"
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": stop, "stop_sequence": None},
        "usage": {"output_tokens": 7},
    }
    yield {"type": "message_stop"}


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is part of some tests."""


@pytest.fixture
def model_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    """A running server; ``openai/...`` and ``anthropic/...`` lead to it while the test runs."""
    server = ModelServer("")
    http = _Quiet(("127.0.0.1", 0), _handler(server))
    server.url = f"http://127.0.0.1:{http.server_port}"
    monkeypatch.setenv("OPENAI_BASE_URL", server.url + "/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-a-key-for-the-test")
    monkeypatch.setenv("ANTHROPIC_API_BASE", server.url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-a-key-for-the-test")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def answer() -> type[Answer]:
    return Answer
