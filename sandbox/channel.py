"""The gateway's end of one sandbox: calls out, results in.

Each call travels on a socket pair of its own, made here. One end goes to the tool host over the
control connection and from there to the call's child, so an answer cannot come from any other
process, and the tool host never sees arguments or results.
"""

import contextlib
import hashlib
import select
import socket
import struct
import threading
import time
from collections.abc import Iterable
from typing import get_args

from trilemma.errors import SandboxError, SandboxLost

from .base import (
    BuiltinEntry,
    CallError,
    CallResult,
    CarryEntry,
    CommandEntry,
    ErrorCode,
    ModuleEntry,
    SandboxCall,
)
from .endings import Endings
from .frames import Frame, FrameError, FrameReader, FrameTooLong, encode, send
from .lines import Line, Lines
from .report import Attempted, SelfTest, read_attempts, read_report
from .spec import Exec, Mount, SandboxSpec, ToolModule

_SLACK = 64 * 1024
"""What an answer's frame may have around the result itself."""
_GRACE = 10.0
"""Seconds for a killed call to be gone; after that the sandbox is given up."""

# The sandboxed side may choose among these; the rest are the gateway's own findings.
_FROM_INSIDE = frozenset(get_args(ErrorCode)) - {"timeout", "lost", "cancelled"}


class Channel:
    """A connection to one tool host. Calls may come from several threads."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        # A tool host that takes nothing more must not hold up the gateway.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(_GRACE), 0))
        self._reader = FrameReader(sock)
        self._endings = Endings(sock, self._reader)
        self._sending = threading.Lock()
        self._turn: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
        self._exclusive = False
        self._output = 0
        self._lines = Lines(self._hand_over, self._endings)
        self._under_way: dict[str, int] = {}
        self._cancelled: set[int] = set()

    def configure(self, spec: SandboxSpec, *, seconds: float = 60.0) -> SelfTest:
        """Tell the tool host what it is, and return what it found when it tried to be more.

        Raises:
            SandboxLost: it did not answer, or not with a report.

        """
        self._exclusive = spec.exec is not Exec.NEVER
        if self._exclusive:
            self._turn = threading.Lock()
        self._output = spec.limits.output
        return read_report(self._ask(_configuration(spec), seconds))

    def tell_mounted(self, mount: Mount) -> None:
        """Tell the tool host that its workspace is there. Only before the first call.

        Raises:
            SandboxLost: it is gone.

        """
        self._control({"type": "mounted", "workspace": _access(mount)})

    def hear_mounted(self, *, seconds: float = 10.0) -> tuple[Attempted, ...]:
        """What the tool host found when it tried the workspace that it was told of.

        Raises:
            SandboxLost: it did not answer, or not with a report.

        """
        return read_attempts(self._hear(seconds), "mounted")

    def look(self, *, seconds: float = 10.0) -> Frame:
        """What the tool host reads of its own container. Only before the first call.

        Raises:
            SandboxLost: it did not answer.

        """
        return self._ask({"type": "look"}, seconds)

    def _ask(self, frame: Frame, seconds: float) -> Frame:
        """Send a frame that the tool host answers, while there are no calls yet."""
        self._control(frame)
        return self._hear(seconds)

    def _hear(self, seconds: float) -> Frame:
        deadline = time.monotonic() + seconds
        try:
            while (answer := self._reader.take()) is None:
                if not _readable(self._sock, deadline) or not self._reader.feed():
                    raise SandboxLost("the tool host did not become ready")
        except (OSError, FrameError) as error:
            raise SandboxLost(f"the tool host did not become ready: {error}") from None
        return answer

    def call(self, call: SandboxCall) -> CallResult:
        """Run one call and wait for it. See :meth:`trilemma.sandbox.base.Sandbox.call`."""
        line = self._lines.take() if self._plain(call) else None
        number = line.number if line else self._lines.number()
        try:
            if self._under_way.setdefault(call.id, number) != number:
                raise SandboxError(f"a call with the id {call.id!r} is running already")
            with self._turn:
                started = time.monotonic()
                result = self._run(call, number, started + call.seconds, line)
                return CallResult(result.value, result.error, time.monotonic() - started)
        finally:
            self._endings.forget(number)
            if self._under_way.get(call.id) == number:
                del self._under_way[call.id]
            self._cancelled.discard(number)
            if line is not None:
                line.sock.close()
            if call.egress is not None:
                call.egress.close()

    def cancel(self, call_id: str) -> None:
        """Kill a running call; its ``call`` returns ``cancelled``. Unknown ids do nothing."""
        number = self._under_way.get(call_id)
        if number is not None:
            self._cancelled.add(number)
            with contextlib.suppress(SandboxLost):
                self._kill(number)

    def close(self) -> None:
        """Close the connection: the tool host exits, and everything in the sandbox with it."""
        self._lines.close()
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _plain(self, call: SandboxCall) -> bool:
        """Whether the call needs nothing but its request: nobody waits for its process's end."""
        return not self._reported(call) and call.egress is None

    def _reported(self, call: SandboxCall) -> bool:
        """Whether the call's process must have ended before its result counts.

        What a tool of one's own leaves running, and what any call could execute, must be gone by
        then. A built-in tool in a locked child leaves nothing, and neither does carrying.
        """
        return self._exclusive or not isinstance(call.entry, BuiltinEntry | CarryEntry)

    def _run(
        self, call: SandboxCall, number: int, deadline: float, line: Line | None
    ) -> CallResult:
        if number in self._cancelled:
            return _failed("cancelled", "the call was cancelled before it ran")
        try:
            request = encode({"entry": _entry(call), "arguments": call.arguments})
        except FrameError as error:
            return _failed("bad_arguments", f"the arguments cannot be sent: {error}")
        report = self._reported(call)
        with line.sock if line else self._new_line(call, number) as ours:
            if number in self._cancelled:
                self._kill(number)  # It may have been cancelled before it could be killed.
            try:
                result = self._converse(ours, request, deadline, ahead=self._plain(call))
            except (TimeoutError, FrameError) as error:
                result, report = _stopped(error, call.seconds), True
                self._kill(number)
        if result is None:
            return self._explain(number)
        if report:
            self._await_end(number)
        return result

    def _new_line(self, call: SandboxCall, number: int) -> socket.socket:
        """Our end of a line for this call, whose other end is with the tool host."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._hand_over(number, theirs, call.egress, report=self._reported(call))
        except BaseException:
            ours.close()
            raise
        return ours

    def _hand_over(
        self,
        number: int,
        theirs: socket.socket,
        egress: socket.socket | None = None,
        *,
        report: bool = False,
    ) -> None:
        fds = [theirs.fileno()]
        if egress is not None:
            fds.append(egress.fileno())
        named = {"call": number, "egress": egress is not None, "report": report}
        self._control({"type": "call", **named}, fds)

    def _converse(
        self, ours: socket.socket, request: bytes, deadline: float, *, ahead: bool
    ) -> CallResult | None:
        """Send the call, take its answer. None when its process ended without one."""
        reader = FrameReader(ours, limit=self._output + _SLACK)
        try:
            ours.settimeout(max(0.001, deadline - time.monotonic()))
            ours.sendall(request)
            if ahead:
                self._lines.prepare()
            while (frame := reader.take()) is None:
                ours.settimeout(max(0.001, deadline - time.monotonic()))
                if not reader.feed():
                    return None
            return _result(frame)
        except ConnectionError:
            return None

    def _explain(self, number: int) -> CallResult:
        """Why a call's process ended without an answer."""
        status = self._await_end(number)
        if number in self._cancelled:
            return _failed("cancelled", "the call was cancelled")
        if status == -9:
            return _failed("out_of_memory", "the kernel killed the call; its memory ran out")
        ended = f"signal {-status}" if status < 0 else f"exit code {status}"
        return _failed("lost", f"the call's process ended with {ended} before it answered")

    def _await_end(self, number: int) -> int:
        status = self._endings.wait(number, _GRACE)
        if status is None:
            self.close()
            raise SandboxLost("a call's process could not be ended; the sandbox was given up")
        return status

    def _kill(self, number: int) -> None:
        self._control({"type": "cancel", "call": number})

    def _control(self, frame: Frame, fds: Iterable[int] = ()) -> None:
        try:
            with self._sending:
                send(self._sock, frame, tuple(fds))
        except FrameError as error:
            raise SandboxError(f"cannot be sent to a sandbox: {error}") from None
        except OSError as error:
            raise SandboxLost(f"the sandbox is gone: {error}") from None


def _configuration(spec: SandboxSpec) -> Frame:
    mount = spec.mount
    return {
        "type": "configure",
        "exec": str(spec.exec),
        "egress": str(spec.egress),
        "workspace": "none" if mount is None else _access(mount),
        "output": spec.limits.output,
        "file_size": spec.limits.file_size,
        "open_files": spec.limits.open_files,
        "modules": [_module(module) for module in spec.modules],
    }


def _access(mount: Mount) -> str:
    if mount.awaited:
        return "later"
    return "ro" if mount.read_only else "rw"


def _module(module: ToolModule) -> dict[str, str]:
    found = hashlib.sha256(module.source.encode()).hexdigest()
    if found != module.sha256.removeprefix("sha256:"):
        raise SandboxError(f"tool module {module.name!r} has sha256 {found}, not {module.sha256!r}")
    return {"name": module.name, "source": module.source}


def _entry(call: SandboxCall) -> dict[str, object]:
    match call.entry:
        case BuiltinEntry(name):
            return {"kind": "builtin", "name": name}
        case ModuleEntry(module, function):
            return {"kind": "module", "module": module, "function": function}
        case CarryEntry(name):
            return {"kind": "carry", "name": name}
        case CommandEntry(executable, sha256, argv, stdin):
            pinned = {"executable": executable, "sha256": sha256.removeprefix("sha256:")}
            return {"kind": "command", **pinned, "argv": list(argv), "stdin": stdin}


def _result(frame: Frame) -> CallResult:
    """Read an answer from inside: a value, or an error with a code from the closed list."""
    match frame:
        case {"value": value, **others} if not others:
            return CallResult(value=value)
        case {"error": {"code": str(code), "message": str(message)}} if code in _FROM_INSIDE:
            return _failed(code, message)
    raise FrameError("neither a value nor an error")


def _stopped(error: TimeoutError | FrameError, seconds: float) -> CallResult:
    if isinstance(error, TimeoutError):
        return _failed("timeout", f"the call ran past {seconds:g} seconds")
    if isinstance(error, FrameTooLong):
        return _failed("result_too_large", f"the result has {error}")
    return _failed("tool_error", f"the result is unusable: {error}")


def _failed(code: str, message: str) -> CallResult:
    for known in get_args(ErrorCode):
        if known == code:
            return CallResult(error=CallError(known, message))
    raise FrameError(f"no such error code: {code!r}")


def _readable(sock: socket.socket, deadline: float) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))
