import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from trilemma.errors import SandboxError
from trilemma.sandbox.runtime import Instance, RuntimeDir, alive, live_instances, runtime_dirs


def test_only_the_gateways_user_may_enter(tmp_path: Path) -> None:
    runtime = RuntimeDir.create(tmp_path / "run")
    for path in (tmp_path / "run", runtime.path, runtime.views):
        assert path.stat().st_mode & 0o777 == 0o700
    assert runtime.exchange().stat().st_mode & 0o777 == 0o755


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
        process.wait()
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
def test_strange_names_are_never_alive(name: str) -> None:
    assert not alive(name)


def test_other_folders_are_not_instances(tmp_path: Path) -> None:
    (tmp_path / "not-an-instance").mkdir()
    (tmp_path / "a-b-c-d").mkdir()
    assert list(runtime_dirs(tmp_path)) == []


def test_what_runs_on_another_machine_counts_as_alive() -> None:
    """Two machines may share one engine: neither sweeps away what the other still uses."""
    ours = Instance.current()
    elsewhere = replace(ours, machine="00000000", boot="00000000", pid=1, started=1)
    assert alive(str(elsewhere))
    assert not alive(str(replace(ours, boot="00000000")))
