import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from trilemma.errors import SandboxError
from trilemma.sandbox import runtime
from trilemma.sandbox.fate import Fate, fate
from trilemma.sandbox.runtime import Instance, RuntimeDir, alive, live_instances, runtime_dirs


def test_only_the_gateways_user_may_enter(tmp_path: Path) -> None:
    made = RuntimeDir.create(tmp_path / "run")
    for path in (tmp_path / "run", made.path, made.views):
        assert path.stat().st_mode & 0o777 == 0o700
    assert made.exchange().stat().st_mode & 0o777 == 0o755


def test_two_gateways_of_one_process_are_two_instances(tmp_path: Path) -> None:
    first, second = RuntimeDir.create(tmp_path), RuntimeDir.create(tmp_path)
    assert first.path != second.path
    assert set(live_instances(tmp_path)) == {first.instance, second.instance}


def test_an_open_root_is_closed_to_others(tmp_path: Path) -> None:
    root = tmp_path / "run"
    root.mkdir(mode=0o777)
    root.chmod(0o777)
    RuntimeDir.create(root)
    assert root.stat().st_mode & 0o777 == 0o700


@pytest.mark.root
def test_a_root_of_somebody_else_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "run"
    root.mkdir()
    os.chown(root, 12345, 12345)
    with pytest.raises(SandboxError, match="belongs to somebody else"):
        RuntimeDir.create(root)


def test_a_planted_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SandboxError, match="belongs to somebody else"):
        RuntimeDir.create(tmp_path / "run")


def test_a_killed_process_is_not_alive() -> None:
    program = (
        "import sys; from trilemma.sandbox.runtime import Instance;"
        "print(Instance.current(), flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        assert alive(name)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not alive(name), "a zombie runs nothing"
    assert not alive(name)


def test_the_same_number_with_another_start_or_boot_is_not_alive() -> None:
    own = Instance.current()
    assert own.alive()
    assert not replace(own, started=own.started + 1).alive()
    assert not replace(own, boot="00000000").alive()


def test_a_process_that_cannot_be_seen_from_here_counts_as_alive() -> None:
    assert replace(Instance.current(), namespace=1, pid=999_999_999).alive()


def test_a_name_is_read_back() -> None:
    own = Instance.current()
    assert Instance.parse(str(own)) == own


@given(st.text())
def test_names_that_this_version_does_not_give_are_never_dead(name: str) -> None:
    assert alive(name) is bool(name)
    assert fate(name) is Fate.UNKNOWN


def test_other_folders_are_not_instances(tmp_path: Path) -> None:
    (tmp_path / "not-an-instance").mkdir()
    (tmp_path / "a-b-c-d").mkdir()
    assert list(runtime_dirs(tmp_path)) == []


def test_what_runs_on_another_machine_is_not_known() -> None:
    """Two machines may share one engine: neither sweeps away what the other still uses."""
    ours = Instance.current()
    elsewhere = replace(ours, machine="00000000", boot="00000000", pid=1, started=1)
    assert fate(str(elsewhere)) is Fate.UNKNOWN
    assert fate(str(replace(ours, namespace=1))) is Fate.UNKNOWN


def test_what_this_machine_knows_is_said(own_system: None) -> None:
    ours = Instance.current()
    renamed = replace(ours, machine="00000000")
    assert fate(str(renamed)) is Fate.RUNS
    assert fate(str(replace(renamed, started=1))) is Fate.GONE
    assert fate(str(ours)) is Fate.RUNS
    assert fate(str(replace(ours, started=1))) is Fate.GONE
    assert fate(str(replace(ours, boot="00000000"))) is Fate.GONE


@pytest.fixture
def own_system(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine with a number of its own, on which this process is in no container."""
    monkeypatch.setattr(runtime, "_is_own_system", lambda: True)
    monkeypatch.setattr(runtime, "_machine_id", lambda: b"0123456789abcdef")
    runtime._machine.cache_clear()
    yield
    runtime._machine.cache_clear()


@pytest.fixture
def twins(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Instance]]:
    """Gateways in containers of one image and one name, on machines that are told by their boot."""

    def start_on(boot: str) -> Instance:
        monkeypatch.setattr(runtime, "_boot_id", lambda: boot.encode())
        runtime._machine.cache_clear()
        return Instance.current()

    monkeypatch.setattr(runtime, "_is_own_system", lambda: False)
    yield start_on
    runtime._machine.cache_clear()


def test_gateways_in_equal_containers_of_two_machines_do_not_take_each_other_for_dead(
    twins: Callable[[str], Instance],
) -> None:
    first = twins("11111111-1111")
    assert fate(str(first)) is Fate.RUNS
    second = twins("22222222-2222")
    assert first.machine != second.machine
    assert fate(str(first)) is Fate.UNKNOWN


def test_sabotage_by_name_and_image_alone_the_other_one_counts_as_gone(
    twins: Callable[[str], Instance], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "_is_own_system", lambda: True)
    monkeypatch.setattr(runtime, "_machine_id", lambda: b"baked into the image")
    first = twins("11111111-1111")
    twins("22222222-2222")
    assert fate(str(first)) is Fate.GONE


@pytest.mark.root
def test_in_a_container_the_boot_says_which_machine_it_is() -> None:
    program = (
        "from trilemma.sandbox import runtime;"
        "assert not runtime._is_own_system(); print(runtime.Instance.current())"
    )
    inside = subprocess.run(
        ["unshare", "--pid", "--uts", "--fork", "--mount-proc", sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert fate(inside) is Fate.UNKNOWN
    # It left its ledger on this machine's disk, and nobody can see from here whether it runs.
    assert alive(inside)
