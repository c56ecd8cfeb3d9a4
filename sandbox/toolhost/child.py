"""A call's child: locks itself, waits for its call, runs it, answers, and is gone."""

import os
import socket
from typing import Any, NoReturn

from . import catalog, kernel, lock, schema
from .context import Context
from .errors import CallFailed, ResultTooLarge
from .files import limit_files
from .frames import Frame, FrameError, FrameReader, FrameTooLong, dumps, loads, receive_fds, send
from .settings import SCRATCH, WORKSPACE, Settings
from .workspace import Workspace

_LINK = 3


def run_call(link: socket.socket, settings: Settings) -> NoReturn:
    """Everything a forked child does."""
    link = _keep_only(link)
    if settings.exec != "once":
        limit_files(settings)
    os.chdir(WORKSPACE if settings.mounted else SCRATCH)
    if settings.exec == "never":
        kernel.install_filter(lock.call_lock("never"))
    _rehearse(settings, link)
    descriptors = _wait_for_call(link)
    call = socket.socket(fileno=descriptors[0])
    egress = descriptors[1] if len(descriptors) > 1 else None
    context = Context(settings=settings, link=link, egress=egress)
    if settings.exec == "never":
        link.close()
    answer = _answer(FrameReader(call), context)
    _send(call, answer, settings.output)
    os._exit(0)


def _rehearse(settings: Settings, link: socket.socket) -> None:
    """Touch what a call will touch, while nobody waits.

    After a fork the first use of each page costs, and a call uses a hundred.
    """
    frame = loads(dumps({"entry": {"kind": "builtin", "name": ""}, "arguments": {}}))
    schema.check(frame["arguments"], {"type": "object", "additionalProperties": False})
    if settings.mounted:
        workspace = Workspace(Context(settings, link, None))
        os.close(workspace.open(".", os.O_RDONLY | os.O_DIRECTORY))
        os.close(workspace.root)
    if settings.modules:
        from . import modules

        modules.rehearse()


def _keep_only(link: socket.socket) -> socket.socket:
    """Close every descriptor but the link; stdin, stdout and stderr lead nowhere."""
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    fd = link.detach()
    if fd != _LINK:
        os.dup2(fd, _LINK, inheritable=False)
    os.closerange(_LINK + 1, 0x7FFFFFFF)
    return socket.socket(fileno=_LINK)


def _wait_for_call(link: socket.socket) -> list[int]:
    data, descriptors = receive_fds(link, 1, 2)
    if not data:
        os._exit(0)  # The tool host is gone.
    return descriptors


def _answer(reader: FrameReader, context: Context) -> Frame:
    try:
        frame = reader.read()
        if frame is None:
            os._exit(0)  # The gateway gave the call up.
        return {"value": _run(frame["entry"], frame["arguments"], context)}
    except CallFailed as error:
        return _error(error.code, str(error))
    except MemoryError:
        return _error("out_of_memory", "the call needs more memory than this sandbox has")
    except BaseException as error:  # Whatever a tool raises is the call's result.
        return _error("tool_error", f"{type(error).__name__}: {error}")


def _run(entry: dict[str, Any], arguments: dict[str, Any], context: Context) -> Any:
    """Run what the entry names. What only some profiles use is loaded there before the lock."""
    if context.settings.egress == "tunnel":
        from . import relay

        relay.start(context.settings.way_out)
    if entry["kind"] == "command":
        from . import command

        return command.run(entry, context)
    if context.settings.exec == "once":
        limit_files(context.settings)
        kernel.install_filter(lock.call_lock("once"))
    if entry["kind"] == "carry":
        from . import carry

        return carry.run(entry["name"], arguments, context.settings)
    if entry["kind"] == "builtin" and entry["name"] != "describe_module":
        return catalog.run(entry["name"], arguments, context)
    from . import modules

    kernel.install_filter(lock.module_lock())
    if entry["kind"] == "module":
        return modules.call(entry["module"], entry["function"], arguments, context)
    return modules.describe(arguments, context)


def _error(code: str, message: str) -> Frame:
    # A message is text for people; whatever is not text in it is shown as an escape.
    text = message.encode(errors="backslashreplace").decode()
    return {"error": {"code": code, "message": text[:4000]}}


def _send(call: socket.socket, answer: Frame, limit: int) -> None:
    try:
        send(call, answer, limit=limit)
    except FrameTooLong as error:
        send(call, _error(ResultTooLarge.code, f"the result has {error}"))
    except FrameError as error:
        send(call, _error(CallFailed.code, f"the result cannot be sent as JSON: {error}"))
    except OSError:
        os._exit(0)  # The gateway gave the call up.
