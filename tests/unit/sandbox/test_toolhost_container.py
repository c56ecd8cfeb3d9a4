"""The tool host in real containers: calls, their isolation, their end, and the lock."""

import hashlib
import itertools
import os
import socket
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from trilemma.errors import SandboxLost
from trilemma.policy.capability import Capability
from trilemma.sandbox.base import (
    BuiltinEntry,
    CallError,
    CallResult,
    CommandEntry,
    ModuleEntry,
    Sandbox,
    SandboxCall,
)
from trilemma.sandbox.docker import DockerBackend
from trilemma.sandbox.engine import Engine
from trilemma.sandbox.evidence import first_process
from trilemma.sandbox.limits import Limits
from trilemma.sandbox.spec import Egress, Exec, SandboxSpec, ToolModule

pytestmark = [pytest.mark.docker]

MIB = 1024 * 1024
ids = itertools.count()

SOURCE = '''
import enum, os, statistics, threading, time
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal
from trilemma import tool

LOADED = os.getpid()

class Unit(enum.Enum):
    METRE = "m"
    FOOT = "ft"

@dataclass
class Length:
    value: float
    unit: Unit = Unit.METRE

@tool(needs=set())
def total(lengths: list[Length], unit: Literal["m", "ft"] = "m") -> dict[str, float]:
    """Add lengths.

    Args:
        lengths: What to add.
    """
    metres = sum(n.value * (0.3048 if n.unit is Unit.FOOT else 1) for n in lengths)
    return {unit: metres if unit == "m" else metres / 0.3048}

@tool
def undeclared(text: str) -> str:
    return text

@tool(needs={"files"}, name="other_name")
def renamed() -> str:
    return "renamed"

def plain(code: str) -> str:
    """Not declared as a tool; the tests run their attempts through it."""
    scope = {}
    exec(code, scope)
    return str(scope.get("result"))
'''
MODULE = ToolModule("tools", SOURCE, hashlib.sha256(SOURCE.encode()).hexdigest())

Make = Callable[..., Sandbox]


@pytest.fixture
def make(backend: DockerBackend, base_image: str, code_image: str) -> Make:
    def make(
        exec: Exec, egress: Egress = Egress.NONE, modules: Any = (MODULE,), **limits: Any
    ) -> Sandbox:
        capabilities = {Capability.CODE} if exec is Exec.FREE else set()
        if egress is not Egress.NONE:
            capabilities.add(Capability.INTERNET)
        image = base_image if exec is Exec.NEVER else code_image
        return backend.create(
            SandboxSpec(
                frozenset(capabilities), exec, egress, None, image, Limits(**limits), modules
            )
        )

    return make


def call(sandbox: Sandbox, entry: Any, seconds: float = 20, **arguments: Any) -> CallResult:
    return sandbox.call(SandboxCall(f"t{next(ids)}", entry, arguments, seconds))


def failure(result: CallResult) -> CallError:
    assert result.error is not None, result
    return result.error


def attempt(sandbox: Sandbox, code: str, seconds: float = 20) -> CallResult:
    """Run Python inside a call's child: what a tool gone bad could do."""
    return call(sandbox, ModuleEntry("tools", "plain"), seconds, code=textwrap.dedent(code))


def shell(sandbox: Sandbox, code: str, seconds: float = 20, **more: Any) -> Any:
    entry = BuiltinEntry("run_code")
    result = call(sandbox, entry, seconds, language="shell", code=code, **more)
    assert result.error is None, result.error
    return result.value


def test_a_module_is_described_and_its_functions_called(make: Make) -> None:
    sandbox = make(Exec.NEVER)
    described = call(sandbox, BuiltinEntry("describe_module"), module="tools").value
    assert [(d["name"], d["function"], d["needs"]) for d in described] == [
        ("total", "total", []),
        ("undeclared", "undeclared", None),
        ("other_name", "renamed", ["files"]),
    ]
    assert described[0]["description"] == "Add lengths."
    assert described[0]["parameters"]["properties"]["lengths"]["description"] == "What to add."
    entry = ModuleEntry("tools", "total")
    lengths = [{"value": 1}, {"value": 10, "unit": "ft"}]
    assert call(sandbox, entry, lengths=lengths).value == {"m": pytest.approx(4.048)}
    assert failure(call(sandbox, entry, lengths=[{"value": "1"}])).code == "bad_arguments"
    assert failure(call(sandbox, ModuleEntry("tools", "missing"))).code == "not_found"
    assert failure(call(sandbox, ModuleEntry("other", "total"))).code == "not_found"
    assert failure(call(sandbox, BuiltinEntry("run_code"), code="")).code == "not_found"


def test_errors_of_a_tool_are_results_that_name_the_line(make: Make) -> None:
    sandbox = make(Exec.NEVER)
    error = failure(attempt(sandbox, "raise KeyError('x')"))
    assert error.code == "tool_error"
    assert error.message.startswith("KeyError: 'x' (line ")
    assert failure(attempt(sandbox, "raise SystemExit(3)")).message.startswith("SystemExit: 3")
    assert failure(attempt(sandbox, "result = chr(0xd800)")).message.count("JSON")
    assert failure(attempt(sandbox, "def f(): f()\nf()")).message.startswith("RecursionError")
    assert failure(attempt(sandbox, "import nothing_like_it")).message.count("nothing_like_it")
    assert failure(attempt(sandbox, "import os; os._exit(3)")).code == "lost"
    assert failure(attempt(sandbox, "import ctypes; ctypes.string_at(0)")).code == "lost"
    assert attempt(sandbox, "result = 1").value == "1"


@pytest.mark.parametrize("source", ["def broken(:", "raise ValueError('at load')", "\0"])
def test_a_module_that_cannot_be_loaded_says_so_and_the_sandbox_lives(
    make: Make, source: str
) -> None:
    bad = ToolModule("bad", source, hashlib.sha256(source.encode()).hexdigest())
    sandbox = make(Exec.NEVER, modules=(bad, MODULE))
    error = failure(call(sandbox, BuiltinEntry("describe_module"), module="bad"))
    assert error.code == "tool_error"
    assert "cannot be loaded" in error.message
    assert attempt(sandbox, "result = 1").value == "1"


LOOK_FOR_SECRETS = r"""
    import ctypes, re
    found = set()
    for line in open("/proc/self/maps"):
        ends, access, *_ = line.split()
        if access.startswith("rw"):
            low, high = (int(end, 16) for end in ends.split("-"))
            found.update(re.findall(rb"secret-[0-9a-f]{32}", ctypes.string_at(low, high - low)))
    result = sorted(found)
"""


def test_no_call_finds_anything_of_an_earlier_one(make: Make) -> None:
    sandbox = make(Exec.NEVER)
    secret = f"secret-{os.urandom(16).hex()}"
    keep = f"import builtins; builtins.kept = {secret!r}; result = kept"
    assert attempt(sandbox, keep).value == secret
    assert attempt(sandbox, "import builtins; result = hasattr(builtins, 'kept')").value == "False"
    assert attempt(sandbox, LOOK_FOR_SECRETS).value == "[]"
    # The same look finds what is there.
    both = f"kept = {secret!r}\n{textwrap.dedent(LOOK_FOR_SECRETS)}"
    assert attempt(sandbox, both).value == str([secret.encode()])


def test_calls_run_at_the_same_time_and_see_nothing_of_each_other(make: Make) -> None:
    sandbox = make(Exec.NEVER)
    hold = """
        import time
        end = time.monotonic() + 20
        while time.monotonic() < end and not __import__("os").path.exists("/tmp/go"):
            time.sleep(0.01)
        result = "held"
    """
    spy = """
        import os
        seen, others = [], [p for p in os.listdir("/proc") if p.isdigit() and int(p) != os.getpid()]
        for pid in others:
            for name in ("mem", "environ", "maps", "fd/0"):
                try:
                    open(f"/proc/{pid}/{name}", "rb").read(1)
                    seen.append((pid, name))
                except OSError:
                    pass
            try:
                os.kill(int(pid), 9)
                seen.append((pid, "kill"))
            except OSError:
                pass
        result = (len(others) >= 2, seen)
    """
    held: list[CallResult] = []
    thread = threading.Thread(target=lambda: held.append(attempt(sandbox, hold)))
    thread.start()
    assert attempt(sandbox, spy).value == "(True, [])"
    assert attempt(sandbox, "open('/tmp/go', 'w')").error is None
    thread.join(20)
    assert held[0].value == "held"


def test_a_child_has_its_call_and_no_other_descriptor(make: Make) -> None:
    sandbox = make(Exec.NEVER)
    count = """
        import os, stat
        kinds = {}
        for fd in range(1024):
            try:
                kinds[fd] = stat.S_IFMT(os.fstat(fd).st_mode)
            except OSError:
                pass
        result = sorted(fd for fd, kind in kinds.items() if kind == stat.S_IFSOCK), len(kinds)
    """
    sockets, everything = eval(attempt(sandbox, count).value)
    assert (len(sockets), everything) == (1, 4), "its call, and three times /dev/null"


def test_threads_work_in_a_locked_child_and_processes_do_not(make: Make) -> None:
    sandbox = make(Exec.NEVER)
    threads = """
        import threading
        got = []
        ts = [threading.Thread(target=got.append, args=(n,)) for n in range(4)]
        [t.start() for t in ts]; [t.join() for t in ts]
        result = sorted(got)
    """
    assert attempt(sandbox, threads).value == "[0, 1, 2, 3]"
    error = failure(attempt(sandbox, "import os; os.fork()"))
    assert "PermissionError" in error.message
    error = failure(attempt(sandbox, "import subprocess; subprocess.run(['/usr/bin/python3'])"))
    assert "PermissionError" in error.message


def test_threads_of_a_tool_end_with_its_call(make: Make) -> None:
    sandbox = make(Exec.NEVER)
    linger = """
        import threading, time
        def write():
            for n in range(10**9):
                open("/tmp/alive", "w").write(str(n))
        threading.Thread(target=write).start()
        while not __import__("os").path.exists("/tmp/alive"):
            time.sleep(0.001)
    """
    assert attempt(sandbox, linger).error is None
    first = attempt(sandbox, "result = open('/tmp/alive').read()").value
    assert attempt(sandbox, "result = open('/tmp/alive').read()").value == first


def test_a_sandbox_ends_when_its_gateway_goes_away(make: Make, backend: DockerBackend) -> None:
    sandbox = make(Exec.FREE)
    channel: Any = sandbox._channel  # type: ignore[attr-defined]
    channel.close()
    with pytest.raises(SandboxLost):
        call(sandbox, BuiltinEntry("run_code"), language="shell", code="true")


def test_code_runs_and_its_output_comes_back(make: Make) -> None:
    sandbox = make(Exec.FREE, output=40_000)
    got = shell(sandbox, "cat; echo error >&2; exit 3", stdin="input")
    assert got == {
        "exit_code": 3,
        "stdout": "input",
        "stderr": "error\n",
        "truncated": False,
        "timed_out": False,
    }
    entry = BuiltinEntry("run_code")
    python = "import os, sys; print(sorted(os.environ), sys.flags.isolated)"
    value = call(sandbox, entry, language="python", code=python).value
    assert value["stdout"] == "['HOME', 'LANG', 'LC_CTYPE', 'PATH', 'TMPDIR'] 1\n" or (
        value["stdout"] == "['HOME', 'LANG', 'PATH', 'TMPDIR'] 1\n"
    )
    big = shell(sandbox, "yes | head -c 1000000")
    assert (len(big["stdout"]), big["truncated"], big["exit_code"]) == (10_000, True, 0)
    assert shell(sandbox, "printf '\\377'")["stdout"] == "\N{REPLACEMENT CHARACTER}"
    assert shell(sandbox, "kill -9 $$")["exit_code"] == -9
    assert shell(sandbox, "yes | head -1")["exit_code"] == 0, "SIGPIPE works as in a shell"


def test_code_that_takes_too_long_is_killed_and_what_it_wrote_is_kept(make: Make) -> None:
    sandbox = make(Exec.FREE)
    got = shell(sandbox, "echo before; sleep 100; echo after", timeout=0.3)
    assert (got["stdout"], got["timed_out"], got["exit_code"]) == ("before\n", True, -9)
    entry = BuiltinEntry("run_code")
    late = call(sandbox, entry, seconds=0.3, language="shell", code="sleep 100")
    assert late.error is not None
    assert late.error.code == "timeout"
    assert (
        shell(sandbox, "ps -e 2>/dev/null | wc -l; ls /proc | grep -c '^[0-9]'")["exit_code"] == 0
    )


LEAVERS = {
    "background": "sleep 1000 & sleep 1000 &",
    "own session": "setsid sh -c 'sleep 1000 & sleep 1000' & sleep 0.1",
    "forking": "f() { f | f & }; f 2>/dev/null; sleep 0.1",
    "ignoring": "trap '' TERM HUP INT; (sleep 1000; sleep 1000) &",
}


@pytest.mark.parametrize("code", LEAVERS.values(), ids=LEAVERS)
def test_nothing_of_a_call_runs_after_it(make: Make, code: str) -> None:
    sandbox = make(Exec.FREE)
    shell(sandbox, code, timeout=5)
    count = "n=0; for p in /proc/[0-9]*; do n=$((n+1)); done; echo $n"
    # The tool host, the call's child, and this shell.
    assert shell(sandbox, count)["stdout"] == "3\n"


def test_sabotage_within_one_call_the_same_processes_live_on(make: Make) -> None:
    sandbox = make(Exec.FREE)
    code = "setsid sh -c 'sleep 1000 & sleep 1000' & sleep 0.1; ls -d /proc/[0-9]* | wc -l"
    assert int(shell(sandbox, code)["stdout"]) > 4


def test_orphans_do_not_pile_up_as_zombies(make: Make) -> None:
    sandbox = make(Exec.FREE, processes=40)
    # Each sleep is an orphan when it ends; without reaping the 40 places are soon taken.
    code = "for i in $(seq 100); do (sleep 0.01 &); [ $((i % 20)) = 0 ] && sleep 0.7; done; echo ok"
    got = shell(sandbox, code)
    assert (got["exit_code"], got["stdout"], got["stderr"]) == (0, "ok\n", "")


def test_code_cannot_end_or_stop_the_tool_host(make: Make) -> None:
    sandbox = make(Exec.FREE)
    for signal in ("KILL", "STOP", "TERM", "INT", "HUP", "SEGV", "QUIT"):
        shell(sandbox, f"kill -{signal} 1; kill -{signal} 1")
    killed = call(sandbox, BuiltinEntry("run_code"), language="shell", code="kill -9 -1")
    assert killed.error is not None, "it killed its own call"
    assert shell(sandbox, "echo alive")["stdout"] == "alive\n"


def test_code_cannot_read_the_tool_host_or_forge_an_answer(make: Make) -> None:
    sandbox = make(Exec.FREE)
    look = """
for pid in 1 $PPID; do
  for what in mem environ maps fd/3 fd/4; do
    head -c 1 /proc/$pid/$what >/dev/null 2>&1 && echo $pid $what
  done
  ls /proc/$pid/fd >/dev/null 2>&1 && echo $pid fds
done
ls /proc/self/fd | wc -l
exit 0"""
    assert shell(sandbox, look)["stdout"] == "4\n", "0, 1, 2 and ls's own"


def test_sabotage_a_process_that_does_not_close_itself_off_is_readable(make: Make) -> None:
    sandbox = make(Exec.FREE)
    look = (
        "sleep 10 & head -c 1 /proc/$!/environ >/dev/null && ls /proc/$!/fd >/dev/null && echo read"
    )
    assert shell(sandbox, look)["stdout"] == "read\n"


def test_a_cancelled_call_is_gone_with_all_it_started(make: Make) -> None:
    sandbox = make(Exec.FREE)
    results: list[CallResult] = []
    code = "echo > /tmp/started; sleep 1000 & sleep 1000"
    cancelled = SandboxCall(
        "cancel-me", BuiltinEntry("run_code"), {"language": "shell", "code": code}, 60
    )
    thread = threading.Thread(target=lambda: results.append(sandbox.call(cancelled)))
    thread.start()
    deadline = time.monotonic() + 20
    while not results and time.monotonic() < deadline:
        sandbox.cancel("cancel-me")
        thread.join(0.05)
    assert results[0].error is not None
    assert results[0].error.code == "cancelled"
    sandbox.cancel("cancel-me")
    assert shell(sandbox, "ls /proc | grep -c '^[0-9]'")["exit_code"] == 0


def test_memory_that_runs_out_ends_the_call_and_not_the_sandbox(make: Make) -> None:
    sandbox = make(Exec.NEVER, memory=96 * MIB)
    error = failure(attempt(sandbox, "x = [bytearray(10**6) for _ in range(1000)]"))
    assert error.code == "out_of_memory"
    assert attempt(sandbox, "result = 1").value == "1"


def test_an_answer_that_is_too_long_is_refused(make: Make) -> None:
    sandbox = make(Exec.NEVER, output=10_000)
    assert failure(attempt(sandbox, "result = 'x' * 20000")).code == "result_too_large"
    assert attempt(sandbox, "result = 'x' * 9000").value == "x" * 9000


def test_a_hostile_child_cannot_answer_with_more_than_its_call(make: Make) -> None:
    sandbox = make(Exec.NEVER)
    forge = """
        import os, socket, stat
        fd = next(f for f in range(3, 99) if stat.S_ISSOCK(os.fstat(f).st_mode))
        sock = socket.socket(fileno=fd)
        body = b'{"value":"forged"}{"value":"second"}'
        sock.sendall(len(body).to_bytes(4, "big") + body)
        os._exit(0)
    """
    assert failure(attempt(sandbox, forge)).code == "tool_error"
    assert attempt(sandbox, "result = 1").value == "1"


@pytest.fixture
def vetted(make: Make, code_image: str) -> Callable[..., CallResult]:
    """Run a pinned program of the code image."""
    free, once = make(Exec.FREE), make(Exec.ONCE)

    def run(path: str, *words: str, sandbox: Sandbox = once, **more: Any) -> CallResult:
        real = shell(free, f"readlink -f {path}")["stdout"].strip()
        digest = shell(free, f"sha256sum {real}")["stdout"].split()[0]
        fields = {"executable": real, "sha256": digest, "argv": (path, *words), **more}
        return call(sandbox, CommandEntry(**fields))

    return run


def test_a_vetted_command_runs_once_and_starts_nothing(vetted: Callable[..., CallResult]) -> None:
    assert vetted("/bin/cat", stdin="text").value["stdout"] == "text"
    got = vetted("/bin/sh", "-c", "echo builtin; /bin/true && echo second; echo $?").value
    assert got["stdout"] == "builtin\n126\n"
    assert "Permission denied" in got["stderr"] or "not permitted" in got["stderr"]
    got = vetted("/usr/bin/find", "/etc", "-maxdepth", "0", "-exec", "/bin/echo", "ran", ";").value
    assert "ran" not in got["stdout"]
    got = vetted("/usr/bin/env", "/bin/echo", "ran").value
    assert "ran" not in got["stdout"]
    assert got["exit_code"] == 126
    got = vetted("/bin/sh", "-c", "exec /bin/echo ran").value
    assert "ran" not in got["stdout"]


def test_sabotage_where_code_may_run_the_same_commands_start_others(make: Make) -> None:
    free = make(Exec.FREE)
    assert "second" in shell(free, "/bin/true && echo second")["stdout"]
    assert shell(free, "find /etc -maxdepth 0 -exec /bin/echo ran ';'")["stdout"] == "ran\n"


def test_a_vetted_command_is_the_pinned_file_or_does_not_run(
    vetted: Callable[..., CallResult],
) -> None:
    error = failure(vetted("/bin/cat", sha256="0" * 64))
    assert "not the pinned" in error.message
    missing = failure(vetted("/bin/cat", executable="/bin/nothing"))
    assert missing.code == "not_found"


def test_a_vetted_command_has_no_sockets_and_only_its_environment(
    vetted: Callable[..., CallResult],
) -> None:
    probe = (
        "import os, socket\n"
        "print(sorted(os.environ))\n"
        "for family in (1, 2, 10):\n"
        "    try: socket.socket(family); print('socket', family)\n"
        "    except OSError as e: print(e.strerror)\n"
        "try: os.memfd_create('x'); print('memfd')\n"
        "except OSError as e: print(e.strerror)\n"
        "try: os.execv('/bin/true', ['true'])\n"
        "except OSError as e: print(e.strerror)\n"
        "if os.fork() == 0:\n"
        "    try: os.execv('/bin/true', ['true'])\n"
        "    except OSError as e: print('child', e.strerror, flush=True)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
    )
    value = vetted("/usr/bin/python3", "-I", "-S", "-u", "-c", probe).value
    lines = value["stdout"].splitlines()
    assert "Operation not permitted" in lines[1:]
    assert set(lines[1:]) == {"Operation not permitted", "child Operation not permitted"}, value
    assert len(lines) == 7


def test_python_in_a_sandbox_for_commands_is_locked_as_ever(make: Make) -> None:
    once = make(Exec.ONCE)
    for code in (
        "import os; os.execv('/bin/true', ['true'])",
        "import os; os.fork()",
        "import os; os.memfd_create('x')",
        "import socket; socket.socket(socket.AF_UNIX)",
    ):
        error = failure(attempt(once, code))
        assert error is not None
        assert "PermissionError" in error.message, code


@pytest.fixture
def tunnel(make: Make) -> Iterator[tuple[Sandbox, list[bytes]]]:
    """A sandbox with a tunnel, and a proxy that keeps what comes and answers."""
    sandbox: Any = make(Exec.FREE, Egress.TUNNEL)
    arrived: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener:
        path = sandbox.exchange / "egress.sock"
        # The name of a socket is short; a descriptor's name of the folder is.
        folder = os.open(sandbox.exchange, os.O_PATH)
        listener.bind(f"/proc/self/fd/{folder}/egress.sock")
        os.close(folder)
        os.chmod(path, 0o666)
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    arrived.append(connection.recv(65536))
                    connection.sendall(
                        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
                    )

        thread = threading.Thread(target=serve)
        thread.start()
        yield sandbox, arrived
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def test_ordinary_clients_find_their_way_through_the_tunnel(
    tunnel: tuple[Sandbox, list[bytes]],
) -> None:
    sandbox, arrived = tunnel
    fetch = "import urllib.request; print(urllib.request.urlopen('http://example.com/x').read())"
    for _ in range(2):
        entry = BuiltinEntry("run_code")
        value = call(sandbox, entry, language="python", code=fetch).value
        assert value["stdout"] == "b'hello'\n", value
    assert [request.split(b"\r\n")[0] for request in arrived] == [
        b"GET http://example.com/x HTTP/1.1"
    ] * 2
    inside = attempt(
        sandbox,
        """
        import urllib.request
        result = urllib.request.urlopen("http://example.com/y").read()
        """,
    )
    assert inside.value == "b'hello'"


def test_no_tunnel_outlives_its_call(tunnel: tuple[Sandbox, list[bytes]]) -> None:
    sandbox, arrived = tunnel
    late = "(sleep 0.2; curl -s http://example.com/late) & echo started"
    assert shell(sandbox, late)["stdout"] == "started\n"
    assert shell(sandbox, "sleep 0.5")["exit_code"] == 0
    assert arrived == []


def test_a_call_gets_the_connection_that_was_made_for_it(make: Make) -> None:
    sandbox = make(Exec.NEVER, Egress.STRUCTURED)
    ours, theirs = socket.socketpair()
    requests: list[bytes] = []

    def serve() -> None:
        requests.append(ours.recv(65536))
        ours.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok")

    thread = threading.Thread(target=serve)
    thread.start()
    got = sandbox.call(
        SandboxCall(
            "e", BuiltinEntry("http_fetch"), {"url": "https://example.com/"}, 20, egress=theirs
        )
    )
    thread.join(10)
    ours.close()
    assert theirs.fileno() == -1, "the gateway kept its copy"
    assert got.value["text"] == "ok"
    assert requests[0].startswith(b"GET https://example.com/ HTTP/1.1\r\n")
    without = call(sandbox, BuiltinEntry("http_fetch"), url="https://example.com/")
    assert without.error is not None
    assert "no connection" in without.error.message


@pytest.mark.root
def test_many_calls_leave_no_process_and_no_descriptor(make: Make, engine: Engine) -> None:
    sandbox = make(Exec.NEVER)
    host = first_process(engine.inspect(sandbox.id))
    entry = ModuleEntry("tools", "undeclared")

    def descriptors() -> int:
        return len(os.listdir(f"/proc/{host}/fd"))

    for _ in range(20):
        call(sandbox, entry, text="x")
    before = descriptors()
    for _ in range(150):
        assert call(sandbox, entry, text="x").value == "x"
    assert descriptors() <= before + 2
    children = Path(f"/proc/{host}/task/{host}/children").read_text().split()
    assert len(children) <= 2
