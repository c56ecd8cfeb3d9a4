"""A model server on this machine that plans like ``gullible`` and takes as long as it is told.

It speaks OpenAI's chat protocol. What it answers is what the built-in model would answer; when, is
decided by an engine.
"""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from trilemma.inference.gullible import GullibleModel
from trilemma.inference.messages import Message, Reply, ToolCall

from .prefixcache import Request, as_read, tokens
from .speed import Engine


@dataclass(frozen=True, slots=True)
class Read:
    """How one request was read."""

    salt: str
    prompt: int
    cached: int
    answer: int
    session: str
    """As the caller is called here."""
    sibling: bool
    """Made by a sub-agent: nobody's root."""
    first: bool
    """The first request of a conversation: nothing of it is the model's own."""
    at: float
    """When it came, by this machine's clock."""


@dataclass(slots=True)
class ModelServer:
    """A running server and all that it read."""

    engine: Engine
    url: str = ""
    reads: list[Read] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    """As they came, in the order of the reads."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, request: Request, session: str) -> tuple[Reply, Read]:
        """What the model says, when its time is over."""
        came = time.monotonic()
        reply = asyncio.run(GullibleModel().complete(_messages(request), ()))
        prompt, said = tokens(as_read(request)), tokens(_written(reply))
        said = said[: request.get("max_tokens", len(said))] or [0]
        cached = self.engine.serve(request, prompt, said)
        roles = {message["role"] for message in request["messages"]}
        read = Read(
            salt=request.get("cache_salt", ""),
            prompt=len(prompt),
            cached=cached,
            answer=len(said),
            session=session,
            sibling=request.get("priority") == 0,
            first="assistant" not in roles,
            at=came,
        )
        with self._lock:
            self.reads.append(read)
            self.requests.append(request)
        return reply, read


@contextmanager
def model_server(engine: Engine) -> Iterator[ModelServer]:
    """A server on a free port of this machine."""
    server = ModelServer(engine)
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_port}/v1"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def _messages(request: Request) -> list[Message]:
    return [
        Message(
            message["role"],
            message.get("content") or "",
            tuple(
                ToolCall(call["id"], call["function"]["name"], call["function"]["arguments"])
                for call in message.get("tool_calls", ())
            ),
            message.get("tool_call_id"),
        )
        for message in request["messages"]
    ]


def _written(reply: Reply) -> str:
    calls = [
        json.dumps({"arguments": call.arguments, "name": call.name}) for call in reply.tool_calls
    ]
    return "\n".join([reply.content, *calls]) + "<|im_end|>\n"


def _handler(server: ModelServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            reply, read = server.answer(request, self.headers.get("x-session-id", ""))
            events = [json.dumps(event) for event in _events(request, reply, read)]
            body = "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    return Handler


def _events(request: Request, reply: Reply, read: Read) -> Iterator[dict[str, Any]]:
    def event(choices: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        head = {"id": "1", "object": "chat.completion.chunk", "created": 1}
        return {**head, "model": request["model"], "choices": choices, **more}

    calls = [
        {
            "index": index,
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for index, call in enumerate(reply.tool_calls)
    ]
    delta = {"role": "assistant", "content": reply.content} | (
        {"tool_calls": calls} if calls else {}
    )
    stop = "tool_calls" if calls else "stop"
    yield event([{"index": 0, "delta": delta, "finish_reason": None}])
    yield event([{"index": 0, "delta": {}, "finish_reason": stop}])
    usage = {
        "prompt_tokens": read.prompt,
        "completion_tokens": read.answer,
        "total_tokens": read.prompt + read.answer,
        "prompt_tokens_details": {"cached_tokens": read.cached},
    }
    yield event([], usage=usage)
