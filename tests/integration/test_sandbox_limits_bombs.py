"""Bombs in real containers: the stated end, a clear result, and the next call works as ever."""

import hashlib
import itertools
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from trilemma.errors import SandboxLost
from trilemma.policy.capability import parse
from trilemma.sandbox.base import BuiltinEntry, CallResult, ModuleEntry, Sandbox, SandboxCall
from trilemma.sandbox.docker import DockerBackend
from trilemma.sandbox.engine import Engine
from trilemma.sandbox.evidence import first_process
from trilemma.sandbox.folder import Folder
from trilemma.sandbox.leftovers import remove_directory
from trilemma.sandbox.limits import Limits
from trilemma.sandbox.proc import processes
from trilemma.sandbox.runtime import RuntimeDir
from trilemma.sandbox.spec import Egress, Exec, SandboxSpec, ToolModule
from trilemma.sandbox.views import ViewMaker

pytestmark = [pytest.mark.docker, pytest.mark.root]

MIB = 1024 * 1024
PROCESSES = 24
calls = itertools.count()

TOOLS = """
def flood(mebibytes: int) -> str:
    return "x" * (mebibytes << 20)

def nest(depth: int) -> list:
    inner = []
    for _ in range(depth):
        inner = [inner]
    return inner

def hoard() -> int:
    kept = []
    while True:
        kept.append(bytearray(1 << 20))

def spin() -> int:
    while True:
        pass
"""


@pytest.fixture(scope="module")
def spec(code_image: str) -> SandboxSpec:
    limits = Limits(memory=96 * MIB, processes=PROCESSES, scratch=8 * MIB, open_files=64)
    return SandboxSpec(parse(["code"]), Exec.FREE, Egress.NONE, None, code_image, limits)


@pytest.fixture(scope="module")
def code(
    spec: SandboxSpec, engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sandbox]:
    """One sandbox for code that outlives every bomb."""
    runtime = RuntimeDir.create(tmp_path_factory.mktemp("run"))
    backend = DockerBackend(runtime)
    yield backend.create(spec)
    backend.close()
    remove_directory(runtime.path)


def python(sandbox: Sandbox, code: str, seconds: float = 30) -> CallResult:
    arguments = {"language": "python", "code": code}
    call_id = f"bomb-{next(calls)}"
    return sandbox.call(SandboxCall(call_id, BuiltinEntry("run_code"), arguments, seconds))


def works(sandbox: Sandbox) -> None:
    """The next call has everything to itself again."""
    listing = "import os; print(len([p for p in os.listdir('/proc') if p.isdigit()]))"
    # The tool host, the call's child, and the program.
    assert python(sandbox, listing).value["stdout"] == "3\n"


BOMBS = {
    "processes that fork for ever": (
        "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass\n"
    ),
    "processes that leave their parents": (
        "import os\n"
        "while True:\n"
        "  try:\n"
        "    if os.fork() == 0:\n"
        "      os.setsid()\n"
        "      if os.fork(): os._exit(0)\n"
        "  except OSError: pass\n"
    ),
    "processes that stopped": (
        "import os, signal, time\n"
        "for _ in range(18):\n"
        "  if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    os.kill(os.getpid(), signal.SIGSTOP)\n"
        "time.sleep(60)\n"
    ),
    "processes that ignore every signal": (
        "import os, signal, time\n"
        "for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:\n"
        "  signal.signal(number, signal.SIG_IGN)\n"
        "for _ in range(4): os.fork()\n"
        "while True: time.sleep(1)\n"
    ),
    "a parent that waits for its vfork": (
        "import ctypes, time\nif ctypes.CDLL(None).vfork() == 0:\n  while True: time.sleep(1)\n"
    ),
    "a loop": "while True: pass",
    "threads": (
        "import threading\n"
        "def spin():\n"
        "  while True: pass\n"
        "for _ in range(16): threading.Thread(target=spin).start()\n"
    ),
    "output without end": "while True: print('x' * 65536)",
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_does_not_end_is_ended(code: Sandbox, name: str) -> None:
    started = time.monotonic()
    result = python(code, BOMBS[name], seconds=0.7)
    assert time.monotonic() - started < 5
    assert result.error is not None
    assert result.error.code == "timeout"
    assert "0.7 seconds" in result.error.message
    works(code)


@pytest.mark.parametrize("name", ["processes that fork for ever", "processes that stopped"])
def test_a_sandbox_is_destroyed_under_what_runs_in_it(
    backend: DockerBackend, spec: SandboxSpec, engine: Engine, name: str
) -> None:
    sandbox = backend.create(spec)
    with ThreadPoolExecutor(1) as threads:
        lost = threads.submit(python, sandbox, BOMBS[name])
        while not full(sandbox, engine):
            pass
        started = time.monotonic()
        sandbox.close()
        assert time.monotonic() - started < 5
        with pytest.raises(SandboxLost):
            lost.result()
    assert engine.inspect(sandbox.id) is None


def full(sandbox: Sandbox, engine: Engine) -> bool:
    """Whether what was started in there is there."""
    return len(processes(first_process(engine.inspect(sandbox.id)))) > 15


def test_zombies_are_gone_when_the_call_is(code: Sandbox) -> None:
    """Their parents are dead, so process 1 waits for them; until then there is no more room."""
    bomb = (
        "import os, time\n"
        "made, deadline = 0, time.monotonic() + 20\n"
        "while made < 2 * 24 and time.monotonic() < deadline:\n"
        "  try:\n"
        "    if (child := os.fork()) == 0:\n"
        "      try: os.fork()\n"
        "      finally: os._exit(0)\n"
        "    os.waitpid(child, 0)\n"
        "    made += 1\n"
        "  except OSError: time.sleep(0.01)\n"
        "print(made)\n"
    )
    assert int(python(code, bomb).value["stdout"]) == 2 * PROCESSES
    works(code)


def test_output_is_cut_and_the_program_told_nothing(code: Sandbox) -> None:
    cut = python(code, "print('x' * (8 << 20)); print('y')")
    assert cut.value["truncated"]
    assert len(cut.value["stdout"]) == code.spec.limits.output // 4
    assert cut.value["exit_code"] == 0


def test_memory_that_many_take_is_not_more(backend: DockerBackend, spec: SandboxSpec) -> None:
    """No one process is large. Who is killed is the kernel's choice: it may be the tool host."""
    code = backend.create(spec)
    bomb = (
        "import os, time\n"
        "for _ in range(16):\n"
        "  if os.fork() == 0:\n"
        "    x = bytearray(12 << 20); x[::4096] = bytes(3 << 10); time.sleep(2); os._exit(0)\n"
        "for _ in range(16): print(os.wait()[1])\n"
    )
    try:
        result = python(code, bomb)
    except SandboxLost:
        assert code.lost
        return
    assert result.error is not None or "9\n" in result.value["stdout"]
    works(code)


def test_nothing_reaches_the_containers_log(code: Sandbox, engine: Engine) -> None:
    flood = "import os\nfor n in (1, 2): open(f'/proc/1/fd/{n}', 'w').write('x' * (1 << 20))"
    assert "Permission denied" in python(code, flood).value["stderr"]
    found = engine.inspect(code.id)
    assert found is not None
    assert found["LogPath"] == ""


@pytest.mark.parametrize(
    ("make", "unpack"),
    [
        ("tar czf", "tar xzf /tmp/small -C /tmp"),
        ("zip -q", "unzip -q /tmp/small.zip -d /tmp"),
    ],
)
def test_what_unpacks_to_too_much_meets_a_full_disk(code: Sandbox, make: str, unpack: str) -> None:
    packed = f"cd /dev/shm && truncate -s 12M large && {make} /tmp/small large; rm large; {unpack}"
    arguments = {"language": "shell", "code": packed}
    call = SandboxCall("unpack", BuiltinEntry("run_code"), arguments, 30)
    result = code.call(call).value
    assert result["exit_code"] != 0
    assert any(words in result["stderr"] for words in ("Wrote only", "disk full")), result
    assert clear(code).value["stdout"] == "0\n"


def test_files_that_are_too_many_meet_a_full_disk(code: Sandbox) -> None:
    files = python(code, "for n in range(20_000): open(f'/tmp/{n}', 'w').close()")
    assert "No space left" in files.value["stderr"]
    assert clear(code).value["stdout"] == "0\n"


def clear(code: Sandbox) -> CallResult:
    """Empty the scratch, as an agent may: the code that does so lies in it too."""
    return python(
        code,
        "import os\n"
        "for name in os.listdir('/tmp'): os.unlink(f'/tmp/{name}')\n"
        "print(len(os.listdir('/tmp')))\n",
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder


@pytest.fixture
def locked(
    backend: DockerBackend, runtime: RuntimeDir, base_image: str, folder: Path
) -> Iterator[Callable[[], Sandbox]]:
    """Makes a sandbox without code on the folder as it is then."""
    views = ViewMaker(runtime.path)

    def make() -> Sandbox:
        mount = views.direct_view(Folder.at(folder), read_only=False, exec=False).mount
        tools = ToolModule("tools", TOOLS, hashlib.sha256(TOOLS.encode()).hexdigest())
        limits = Limits(memory=128 * MIB)
        return backend.create(
            SandboxSpec(
                *(parse(["files"]), Exec.NEVER, Egress.NONE, mount, base_image, limits),
                modules=(tools,),
            )
        )

    yield make
    backend.close()
    views.close()


def builtin(sandbox: Sandbox, name: str, seconds: float = 30, **arguments: Any) -> CallResult:
    call_id = f"bomb-{next(calls)}"
    return sandbox.call(SandboxCall(call_id, BuiltinEntry(name), arguments, seconds))


def own(sandbox: Sandbox, name: str, seconds: float = 30, **arguments: Any) -> CallResult:
    call_id = f"bomb-{next(calls)}"
    return sandbox.call(SandboxCall(call_id, ModuleEntry("tools", name), arguments, seconds))


def code_of(result: CallResult) -> str:
    return "" if result.error is None else result.error.code


def test_a_tool_of_ones_own_has_the_same_ends(locked: Callable[[], Sandbox]) -> None:
    sandbox = locked()
    assert code_of(own(sandbox, "flood", mebibytes=2)) == "result_too_large"
    assert code_of(own(sandbox, "flood", mebibytes=12)) == "result_too_large"
    assert code_of(own(sandbox, "nest", depth=100_000)) == "tool_error"
    assert code_of(own(sandbox, "hoard")) == "out_of_memory"
    assert code_of(own(sandbox, "spin", seconds=0.5)) == "timeout"
    assert own(sandbox, "flood", mebibytes=0).value == ""


def test_a_pattern_that_takes_for_ever_is_ended_and_others_are_not_held_up(
    locked: Callable[[], Sandbox], folder: Path
) -> None:
    (folder / "text").write_text("a" * 64 + "!\n")
    sandbox = locked()
    slow = builtin(sandbox, "search_files", seconds=0.7, pattern="(a+)+$")
    assert code_of(slow) == "timeout"
    assert builtin(sandbox, "search_files", pattern="a!").value == ["text:1: " + "a" * 64 + "!"]


def test_very_many_files_are_listed_up_to_the_limit(
    locked: Callable[[], Sandbox], folder: Path
) -> None:
    script = "i=0; while [ $i -lt 100 ]; do mkdir $i; i=$((i+1)); done; for d in *; do touch "
    script += '$(seq -f "$d/%g" 100); done'
    subprocess.run(["sh", "-c", script], cwd=folder, check=True)
    sandbox = locked()
    listed = builtin(sandbox, "list_files", recursive=True, limit=500).value
    assert len(listed) == 501
    assert listed[-1].startswith("... (more than 500")
    assert builtin(sandbox, "search_files", pattern="x").value == []
    assert len(builtin(sandbox, "list_files", recursive=True, pattern="7").value) == 101


def test_folders_nested_too_deep_are_named_and_not_passed_over(
    locked: Callable[[], Sandbox], folder: Path
) -> None:
    script = "i=0; while [ $i -lt 400 ]; do mkdir d; cd d; i=$((i+1)); done; touch bottom"
    subprocess.run(["sh", "-c", script], cwd=folder, check=True)
    sandbox = locked()
    for name, arguments in (
        ("list_files", {"recursive": True}),
        ("search_files", {"pattern": "x"}),
    ):
        deep = builtin(sandbox, name, **arguments)
        assert code_of(deep) == "tool_error"
        assert deep.error is not None
        assert "too deep" in deep.error.message
    from_further_down = "/".join(["d"] * 300)
    listed = builtin(sandbox, "list_files", path=from_further_down, recursive=True).value
    assert listed[-1].endswith("/bottom")
