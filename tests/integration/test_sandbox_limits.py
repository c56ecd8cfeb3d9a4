"""Each limit, hit for real: what happens is what ``limits.py`` says."""

import itertools
from dataclasses import replace

import pytest

from trilemma.errors import SandboxLost
from trilemma.policy.capability import parse
from trilemma.sandbox.base import BuiltinEntry, CallResult, Sandbox, SandboxCall
from trilemma.sandbox.docker import DockerBackend
from trilemma.sandbox.limits import Limits
from trilemma.sandbox.spec import Egress, Exec, SandboxSpec

pytestmark = pytest.mark.docker

MIB = 1024 * 1024
calls = itertools.count()


@pytest.fixture
def spec(code_image: str) -> SandboxSpec:
    limits = Limits(memory=96 * MIB, processes=24, scratch=4 * MIB, open_files=64)
    return SandboxSpec(parse(["code"]), Exec.FREE, Egress.NONE, None, code_image, limits)


def python(sandbox: Sandbox, code: str, seconds: float = 30) -> CallResult:
    arguments = {"language": "python", "code": code}
    call_id = f"limit-{next(calls)}"
    return sandbox.call(SandboxCall(call_id, BuiltinEntry("run_code"), arguments, seconds))


def test_what_is_too_much_fails_inside_and_the_sandbox_lives_on(
    backend: DockerBackend, spec: SandboxSpec
) -> None:
    sandbox = backend.create(spec)
    full = python(sandbox, "open('/tmp/big', 'wb').write(bytes(16 << 20))")
    assert "No space left" in full.value["stderr"]
    python(sandbox, "import os; os.unlink('/tmp/big')")
    opened = python(sandbox, "files = [open('/dev/null') for _ in range(500)]")
    assert "Too many open files" in opened.value["stderr"]
    hog = python(sandbox, "x = bytearray(1 << 30); x[::4096] = bytes(1 << 18)")
    assert hog.error is not None or hog.value["exit_code"] != 0
    bomb = python(sandbox, "import os\nwhile True: os.fork()")
    assert bomb.error is not None or "unavailable" in bomb.value["stderr"]
    assert python(sandbox, "print(6 * 7)").value["stdout"] == "42\n"


def test_a_call_that_runs_too_long_is_killed_with_all_it_started(
    backend: DockerBackend, spec: SandboxSpec
) -> None:
    sandbox = backend.create(spec)
    code = "import subprocess; subprocess.run(['sleep', '1000'])"
    result = python(sandbox, code, seconds=0.5)
    assert result.error is not None
    assert result.error.code == "timeout"
    listing = "import os; print(sorted(int(p) for p in os.listdir('/proc') if p.isdigit())[:1])"
    assert python(sandbox, listing).value["stdout"] == "[1]\n"
    running = "import os, glob; print([open(c).read() for c in glob.glob('/proc/[0-9]*/cmdline')])"
    assert "sleep" not in python(sandbox, running).value["stdout"]


def test_without_a_limit_on_processes_the_same_bomb_goes_further(
    backend: DockerBackend, spec: SandboxSpec
) -> None:
    count = (
        "import os, time\n"
        "n = 0\n"
        "try:\n"
        "    while n < 60:\n"
        "        if os.fork() == 0:\n"
        "            time.sleep(60)\n"
        "        n += 1\n"
        "except OSError:\n"
        "    pass\n"
        "print(n)\n"
    )
    few = python(backend.create(spec), count)
    many = python(backend.create(replace(spec, limits=replace(spec.limits, processes=128))), count)
    assert int(few.value["stdout"]) < 24
    assert int(many.value["stdout"]) == 60


def test_a_container_that_dies_is_lost_and_its_call_has_no_result(
    backend: DockerBackend, spec: SandboxSpec
) -> None:
    sandbox = backend.create(spec)
    sandbox.close()
    assert sandbox.lost
    with pytest.raises(SandboxLost):
        python(sandbox, "print(1)")
    sandbox.close()
