"""Everything as somebody without root, whom the engine's group lets use the engine."""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.integration.builtnotes import give_built

from trilemma.sandbox.engine import Engine
from trilemma.sandbox.runtime import alive

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
UID = 12345
INSTANCE = "dev.trilemma.instance"
SOCKET = Path("/var/run/docker.sock")

Run = Callable[..., subprocess.CompletedProcess[str]]


def closed_above(path: Path) -> Path | None:
    """The outermost folder on the way that only its owner may enter."""
    return next((p for p in reversed(path.parents) if not p.stat().st_mode & 0o001), None)


def doors(stash: Path) -> str:
    """Lets anybody reach the interpreter and the code, in a mount namespace of its own.

    They often lie in root's home. What else lies there cannot be seen.
    """
    wanted = {Path(os.path.realpath(path)) for path in (sys.base_prefix, sys.prefix, ROOT)}
    kept, made = [], []
    for number, path in enumerate(sorted(wanted)):
        if closed_above(path):
            place = shlex.quote(str(stash / str(number)))
            kept.append(f"mkdir {place}; mount --rbind {shlex.quote(str(path))} {place}")
            made.append(f"mkdir -p {shlex.quote(str(path))}; mount --rbind {place} {path}")
    closed = {str(above) for path in wanted if (above := closed_above(path))}
    covers = [f"mount -t tmpfs -o mode=755 tmpfs {shlex.quote(above)}" for above in sorted(closed)]
    return "\n".join(["set -e", *kept, *covers, *made, 'exec "$@"'])


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """The home of a user whom nobody gave anything. A short path: sockets lie below it."""
    with tempfile.TemporaryDirectory(prefix="user-") as place:
        os.chmod(place, 0o755)
        home, stash = Path(place, "home"), Path(place, "stash")
        stash.mkdir(mode=0o755)
        for path in (home, home / "run"):
            path.mkdir(mode=0o700)
            os.chown(path, UID, UID)
        yield home


@pytest.fixture(scope="module")
def user(home: Path, engine: Engine, base_image: str, code_image: str) -> Run:
    """Runs a command as that user, who has built the images."""
    give_built(home / ".cache", UID)
    drop = [
        *("setpriv", f"--reuid={UID}", f"--regid={UID}", f"--groups={SOCKET.stat().st_gid}"),
        *("--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"),
    ]
    inside = ["unshare", "--mount", "--propagation", "private", "--"]
    environment = {
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home / "run"),
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "TMPDIR": str(home),
    }

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        shell = [*inside, "sh", "-c", doors(home.parent / "stash"), "sh", *drop, *words]
        done = subprocess.run(
            shell, env=environment, cwd=home, capture_output=True, text=True, check=False
        )
        assert not list((home.parent / "stash").glob("*/*"))
        for left in (home.parent / "stash").iterdir():
            left.rmdir()
        return done

    return run


def ok(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_somebody_without_any_power(user: Run) -> None:
    status = ok(user("cat", "/proc/self/status"))
    assert re.search(rf"^Uid:\t{UID}\t{UID}\t{UID}\t{UID}$", status, flags=re.M)
    assert re.search(r"^CapBnd:\t0+$", status, flags=re.M)


def test_the_doctor_says_which_way_workspaces_go_and_why(user: Run) -> None:
    report = ok(user("trilemma", "doctor"))
    assert re.search(rf"^ok +workspaces +carried .*runs as user {UID}", report, flags=re.M)


@pytest.fixture
def agent(user: Run, home: Path) -> Path:
    """An agent with files and code, and a workspace of its user's."""
    folder = Path(tempfile.mkdtemp(dir=home))
    os.chown(folder, UID, UID)
    ok(user("trilemma", "init", str(folder / "a")))
    return folder / "a"


def test_a_run_s_changes_reach_the_folder_when_its_owner_applies_them(
    user: Run, agent: Path
) -> None:
    work = agent / "workspace"
    code = "echo made > made; rm notes.md; ls -ld made; mkdir -m 555 shut; id -u"
    order = f'CALL run_code {{"language": "shell", "code": "{code}"}}'
    ran = ok(user("trilemma", "run", str(agent / "agent.yaml"), order))
    assert "made" in ran
    assert str(UID) not in ran
    assert sorted(os.listdir(work)) == ["notes.md"]
    shown = ok(user("trilemma", "workspace", "diff", str(work)))
    assert re.findall(r"^  ([AMD]) (\S+)$", shown, flags=re.M) == [
        ("A", "made"),
        ("D", "notes.md"),
        ("A", "shut/"),
    ]
    apply = re.search(r"^apply: (.*)$", shown, flags=re.M)
    assert apply is not None
    ok(user(*apply[1].split()))
    assert sorted(os.listdir(work)) == ["made", "shut"]
    assert (work / "made").read_text() == "made\n"
    assert (work / "made").stat().st_uid == UID
    assert (work / "shut").stat().st_mode & 0o777 == 0o555


def test_what_the_user_may_not_read_is_hidden_and_said(user: Run, agent: Path) -> None:
    work = agent / "workspace"
    (work / "roots").write_text("canary-of-root")
    (work / "roots").chmod(0o600)
    order = 'CALL list_files {"path": "."}'
    done = user("trilemma", "run", str(agent / "agent.yaml"), order)
    assert "notes.md" in ok(done)
    assert "roots" not in done.stdout
    assert "1 files or folders in workspace" in done.stderr
    assert "may not be read by you" in done.stderr
    assert (work / "roots").read_text() == "canary-of-root"
    assert "holds" not in done.stderr


def test_the_demo_runs_to_its_end(user: Run) -> None:
    shown = ok(user("trilemma", "demo"))
    assert "with the gate 0,  without 8" in shown
    assert "the report is whole" in shown


def test_nothing_is_left_of_it(user: Run, home: Path, engine: Engine) -> None:
    found = (*engine.containers(INSTANCE), *engine.volumes(INSTANCE))
    assert [each for each in found if not alive(each["Labels"][INSTANCE])] == []
    report = ok(user("trilemma", "doctor"))
    assert re.search(r"^ok +gateways +0 running$", report, flags=re.M)
    assert list((home / "run/trilemma").iterdir()) == []
