"""Process 1 of a sandbox whose gateway is reached over standard input and output.

It is a switchboard and nothing else: it forks the tool host before it reads a byte, and carries
the tool host's sockets. It holds no call, no answer and no file, nobody of the same user can look
into it or take its descriptors, and it carries the lock of its profile like all others. It ends
when the gateway or the tool host does, and with it the sandbox.
"""

import os
import select
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from . import kernel, lock
from .pipes import Bytes, Pipes
from .stream import Piece
from .switchboard import Switchboard
from .tunnel import INSIDE_SOCKET
from .wire import ALIVE, CONTROL, OPEN, PASS, SILENCE, Message, WireError, unpack_passed

MODE = "stdio"
"""The first argument of a process 1 that is this one. Exec and egress follow."""

TUNNELS = 32
"""Connections to the egress proxy that may be open at once; further ones wait."""


class Inside(Switchboard):
    """The half beside the tool host."""

    def __init__(
        self, line: Bytes, control: socket.socket, host: int, listener: socket.socket | None
    ) -> None:
        """``host`` is a descriptor of the tool host's process, ``listener`` where tunnels begin."""
        super().__init__(line, control)
        self._host = host
        self._listener = listener
        self._next = 1
        self._heard = time.monotonic()

    def _look_at_the_clock(self, now: float) -> None:
        if now - self._heard > SILENCE:
            raise WireError("the gateway says nothing any more")

    def _do(self, message: Message) -> None:
        self._heard = time.monotonic()
        if message.kind != ALIVE:
            super()._do(message)

    def _arrange_more(self) -> None:
        self._watch.want(self._host, select.POLLIN, self._host_ended)
        tunnels = sum(number % 2 for number in self._streams)
        if self._listener is not None and tunnels < TUNNELS:
            self._watch.want(self._listener.fileno(), select.POLLIN, self._open)

    def _host_ended(self, _: int) -> None:
        self._over = True

    def _open(self, _: int) -> None:
        assert self._listener is not None
        connection, _address = self._listener.accept()
        stream = self._add(self._next, connection)
        self._next += 2
        self._say(OPEN, stream)

    def _do_more(self, message: Message) -> None:
        """Hand new streams to the tool host, with the bytes that name them."""
        if message.kind != PASS or message.stream != CONTROL:
            raise WireError(f"kind {message.kind} goes the other way")
        passed = unpack_passed(message.payload)
        theirs = tuple(self._pair(number) for number in passed.numbers)
        self._accept(self._control, Piece(passed.data, theirs))

    def _pair(self, number: int) -> int:
        """A new stream; the descriptor of its other end."""
        if number % 2:
            raise WireError(f"stream {number} is not the gateway's to open")
        ours, theirs = socket.socketpair()
        with theirs:
            self._add(number, ours)
            return theirs.detach()


def main(arguments: Sequence[str]) -> int:
    """Fork the tool host and connect it to the gateway until one of both ends."""
    exec_mode, egress = arguments
    if os.getpid() != 1:
        sys.exit("the switchboard must be process 1 of a container")
    kernel.become_opaque()
    kernel.give_up_privileges()
    ours, theirs = socket.socketpair()
    host = os.fork()
    if host == 0:
        ours.close()
        _become_tool_host(theirs)
    theirs.close()
    watched = os.pidfd_open(host)
    _keep_going(host)
    _lead_nowhere(2)
    listener = _listen() if egress == "tunnel" else None
    kernel.install_filter(lock.host_lock(exec_mode, egress))
    Inside(Pipes(0, 1), ours, watched, listener).run()
    return 0


def _keep_going(host: int) -> None:
    """Whenever somebody stops the tool host, let it go on.

    Code may send signals to processes of its user. It may kill the tool host as well, and with it
    its own sandbox, but that is seen at once; for one that is stopped somebody would have to wait.
    """

    def go_on(*_: object) -> None:
        with suppress(ChildProcessError):
            while os.waitid(os.P_PID, host, os.WSTOPPED | os.WNOHANG) is not None:
                os.kill(host, signal.SIGCONT)

    signal.signal(signal.SIGCHLD, go_on)


def _become_tool_host(control: socket.socket) -> NoReturn:
    status = 1
    try:
        # What leads to the gateway is process 1's alone.
        _lead_nowhere(0, 1, 2)
        from . import host

        kernel.adopt_orphans()
        status = host.run(control, INSIDE_SOCKET)
    finally:
        os._exit(status)


def _lead_nowhere(*descriptors: int) -> None:
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for descriptor in descriptors:
        os.dup2(null, descriptor)
    os.close(null)


def _listen() -> socket.socket:
    """Under an abstract name: it is this network namespace's alone, and nobody can remove it."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(INSIDE_SOCKET)
    listener.listen(TUNNELS)
    listener.setblocking(False)
    return listener
