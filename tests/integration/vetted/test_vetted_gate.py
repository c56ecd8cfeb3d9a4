"""The gate itself, attacked by a program that may do anything but execute: an interpreter.

No interpreter is a vetted command; this one plays a vetted program that somebody has taken over.
"""

from typing import Any

import pytest

pytestmark = [pytest.mark.docker, pytest.mark.root]

PYTHON = ("/usr/bin/python3", "-I", "-B", "-c")
TOUCH = "'/usr/bin/touch', ['touch', '/workspace/canary']"

EXECUTIONS = {
    "execve": f"os.execv({TOUCH})",
    "execve by descriptor": (
        "fd = os.open('/usr/bin/touch', os.O_RDONLY); os.execve(fd, ['touch', 'canary'], {})"
    ),
    "a child": f"os.fork() or os.execv({TOUCH}); os.wait()",
    "a child that shares memory": f"os.waitpid(os.posix_spawn({TOUCH}, {{}}), 0)",
    "a grandchild of its own session": (
        f"os.fork() or (os.setsid(), os.fork() or os.execv({TOUCH}), os.wait()); os.wait()"
    ),
    "again and again": (
        "for _ in range(100):\n"
        "  if os.fork() == 0:\n"
        f"    try: os.execv({TOUCH})\n"
        "    finally: os._exit(1)\n"
        "  os.wait()\n"
    ),
    "many at once": (
        "import threading\n"
        "def run():\n"
        f"  try: os.waitpid(os.posix_spawn({TOUCH}, {{}}), 0)\n"
        "  except OSError: pass\n"
        "threads = [threading.Thread(target=run) for _ in range(40)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
    ),
    "the loader": (
        "import glob; loader = glob.glob('/lib64/ld-linux-*')[0]\n"
        "os.execv(loader, ['ld', '/usr/bin/touch', 'canary'])"
    ),
}


@pytest.mark.parametrize("name", EXECUTIONS)
def test_there_is_no_second_execution(vetted: Any, name: str) -> None:
    argv = (*PYTHON, f"import os\n{EXECUTIONS[name]}")
    vetted.harmless(argv)
    # By descriptor the Engine's profile refuses it as well: that twin has no filter at all.
    by_descriptor = "descriptor" in name
    vetted.planted(vetted.unconfined if by_descriptor else vetted.ungated, argv)


NATIVE = """
import ctypes, os, struct
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(number, *arguments):
    if libc.syscall(ctypes.c_long(number), *arguments) < 0:
        raise OSError(ctypes.get_errno(), "")
"""

REACHES = {
    # A filter of its own with a listener of its own would be asked in place of ours.
    "a gate of its own": (
        NATIVE + "allow = struct.pack('=HBBI', 0x06, 0, 0, 0x7fff0000)\n"
        "program = ctypes.create_string_buffer(allow)\n"
        "call(317, 1, 8, struct.pack('@HxxxxxxP', 1, ctypes.addressof(program)))",
        "[Errno 16]",
    ),
    "the listener by number": (
        NATIVE + "for fd in range(3, 256):\n"
        "  try: os.fstat(fd)\n"
        "  except OSError: continue\n"
        "  raise SystemExit(f'descriptor {fd} is open')\n"
        "raise OSError(9, '')",
        "[Errno 9]",
    ),
    "the listener in the tool host": ("import os; os.listdir('/proc/1/fd')", "[Errno 13]"),
    "the listener by the tool host's number": (
        NATIVE + "fd = os.pidfd_open(1)\ncall(438, fd, 3, 0)",
        "[Errno 1]",
    ),
    "the memory of the call's child": (
        "import os; open(f'/proc/{os.getppid()}/mem', 'rb')",
        "[Errno 13]",
    ),
    "the descriptors of the call's child": (
        "import os; os.listdir(f'/proc/{os.getppid()}/fd')",
        "[Errno 13]",
    ),
    "the tool host's life": (
        "import os, signal\n"
        "for number in signal.Signals:\n"
        "  os.kill(1, number)\n"
        "raise OSError(3, '')",
        "[Errno 3]",
    ),
}


@pytest.mark.parametrize("name", REACHES)
def test_what_holds_the_gate_is_out_of_reach(vetted: Any, name: str) -> None:
    code, error = REACHES[name]
    ran = vetted.run((*PYTHON, code))
    assert ran.exit_code == 1
    assert error in ran.stderr
    # Whatever it has tried, the next command is let through once, and once only.
    assert vetted.run(("/usr/bin/echo", "still")).stdout == "still\n"


def test_a_call_whose_parent_is_killed_ends_without_a_second_execution(vetted: Any) -> None:
    """The program may kill the call's child, its parent: the call is lost, the sandbox is not."""
    code = f"import os, signal; os.kill(os.getppid(), 9); os.fork() or os.execv({TOUCH}); os.wait()"
    with pytest.raises(AssertionError, match=r"out_of_memory|lost"):
        vetted.harmless((*PYTHON, code))
    assert not vetted.canary.exists()
    assert vetted.run(("/usr/bin/echo", "still")).stdout == "still\n"
