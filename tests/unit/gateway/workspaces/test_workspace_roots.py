from pathlib import Path

import pytest

from trilemma.errors import WorkspaceError
from trilemma.gateway.workspaces.roots import overlaps, refuse_root


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/home", "/home/alice", "/etc", "/etc/ssl", "/usr/lib", "/var", "/tmp", "/opt"),
        *("/proc/1", "/dev", "/run/user/1000", "/root", "/var/lib/docker/volumes", "/var/run/x"),
    ],
)
def test_system_folder_is_refused(path: str) -> None:
    with pytest.raises(WorkspaceError, match=r"cannot be a workspace"):
        refuse_root(Path(path), [])


@pytest.mark.parametrize("name", ["", ".ssh", ".gnupg/private-keys-v1.d", ".docker"])
def test_home_and_its_keys_are_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(WorkspaceError, match=r"cannot be a workspace"):
        refuse_root(tmp_path / name, [])


def test_own_state_is_refused_from_above_and_below(tmp_path: Path) -> None:
    state = tmp_path / "a/state"
    for path in (state, state / "layers", tmp_path / "a", tmp_path):
        with pytest.raises(WorkspaceError, match=r"Trilemma's own files"):
            refuse_root(path, [state])


def test_own_state_behind_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(WorkspaceError, match=r"Trilemma's own files"):
        refuse_root(tmp_path / "real", [tmp_path / "link"])


@pytest.mark.parametrize("path", ["/home/alice/project", "/srv/data", "/opt/site", "/var/www/html"])
def test_folder_of_work_is_accepted(path: str) -> None:
    refuse_root(Path(path), [Path("/var/lib/trilemma")])


def test_overlap_is_strict_containment() -> None:
    one = Path("/a/b")
    assert overlaps(one, Path("/a"))
    assert overlaps(one, Path("/a/b/c"))
    assert not overlaps(one, one)
    assert not overlaps(one, Path("/a/bc"))
