"""A workspace that is shown to a container which runs already: what arrives there, and what not."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trilemma.errors import SandboxError, SandboxLost, SandboxRefused
from trilemma.policy.capability import parse
from trilemma.sandbox import proc
from trilemma.sandbox.base import BuiltinEntry, CallResult, SandboxCall
from trilemma.sandbox.docker import DockerBackend
from trilemma.sandbox.dockersandbox import DockerSandbox
from trilemma.sandbox.engine import Engine
from trilemma.sandbox.evidence import first_process
from trilemma.sandbox.folder import Folder
from trilemma.sandbox.mounts import mounted_below
from trilemma.sandbox.pool import Pool
from trilemma.sandbox.runtime import RuntimeDir
from trilemma.sandbox.slots import Slot
from trilemma.sandbox.spec import LATER, Egress, Exec, Mount, SandboxSpec
from trilemma.sandbox.views import View, ViewMaker

pytestmark = [pytest.mark.root, pytest.mark.docker]

SANDBOX = 64101


@pytest.fixture
def maker(runtime: RuntimeDir) -> Iterator[ViewMaker]:
    maker = ViewMaker(runtime.path)
    yield maker
    maker.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("old\n")
    return folder


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    layer = tmp_path / "layer"
    layer.mkdir()
    return layer


def spec(image: str, mount: Mount, execution: Exec = Exec.NEVER) -> SandboxSpec:
    names = ["files", "code"] if execution is Exec.FREE else ["files"]
    return SandboxSpec(parse(names), execution, Egress.NONE, mount, image)


def blank(
    backend: DockerBackend, image: str, execution: Exec = Exec.NEVER, *, read_only: bool = False
) -> DockerSandbox:
    return backend.create(spec(image, Mount(LATER, read_only, SANDBOX, SANDBOX), execution))


def call(sandbox: DockerSandbox, tool: str, **arguments: Any) -> CallResult:
    return sandbox.call(SandboxCall(f"call-{tool}", BuiltinEntry(tool), arguments, 20.0))


def inside(engine: Engine, sandbox: DockerSandbox) -> list[proc.MountPoint]:
    """What the container has at ``/workspace``, the one that can be reached last."""
    mounts = proc.mounts(first_process(engine.inspect(sandbox.id)))
    return [mount for mount in mounts if mount.target == "/workspace"]


@pytest.mark.parametrize("execution", [Exec.NEVER, Exec.FREE])
@pytest.mark.parametrize("read_only", [False, True])
def test_the_view_arrives_with_its_own_flags(
    execution: Exec,
    read_only: bool,
    backend: DockerBackend,
    engine: Engine,
    base_image: str,
    code_image: str,
    maker: ViewMaker,
    folder: Path,
) -> None:
    free = execution is Exec.FREE
    view = maker.direct_view(Folder.at(folder), read_only=read_only, exec=free)
    image = code_image if free else base_image
    sandbox = blank(backend, image, execution, read_only=read_only)
    (slot,) = inside(engine, sandbox)
    assert slot.has("ro", "nosuid", "nodev", "noexec")
    sandbox.show(view.mount)
    (_, arrived) = inside(engine, sandbox)
    (prepared,) = [m for m in proc.mounts(1) if m.target == str(view.mount.source)]
    assert arrived.flags == prepared.flags
    assert arrived.has("nosuid", "nodev", "ro" if read_only else "rw")
    assert arrived.has("noexec") is not free
    written = call(sandbox, "write_file", path="b.txt", text="b")
    assert (written.error is not None) is read_only
    assert (folder / "b.txt").exists() is not read_only


@pytest.mark.parametrize("exec", [False, True])
def test_what_is_executable_in_the_folder_runs_only_where_the_view_allows_it(
    exec: bool, backend: DockerBackend, code_image: str, maker: ViewMaker, folder: Path, layer: Path
) -> None:
    (folder / "run.sh").write_text("#!/bin/sh\necho ran\n")
    (folder / "run.sh").chmod(0o755)
    view = maker.layer_view(Folder.at(folder), layer, exec=exec)
    sandbox = blank(backend, code_image, Exec.FREE)
    sandbox.show(view.mount)
    ran = call(sandbox, "run_code", language="shell", code="./run.sh")
    assert ("ran\n" in str(ran.value["stdout"])) is exec


def test_a_blank_can_look_into_nothing_and_write_nothing(
    backend: DockerBackend, code_image: str, runtime: RuntimeDir
) -> None:
    sandbox = blank(backend, code_image, Exec.FREE)
    script = "cd /workspace; ls /workspace; echo x > /workspace/x"
    early = call(sandbox, "run_code", language="shell", code=script)
    assert early.value["stdout"] == ""
    assert early.value["stderr"].count("Permission denied") == 2
    assert call(sandbox, "list_files").error is not None
    assert [list(slot.iterdir()) for slot in (runtime.path / "slots").iterdir()] == [[]]


def test_writing_goes_to_the_layer_alone(
    backend: DockerBackend, base_image: str, maker: ViewMaker, folder: Path, layer: Path
) -> None:
    sandbox = blank(backend, base_image)
    view = maker.layer_view(Folder.at(folder), layer, exec=False)
    sandbox.show(view.mount)
    assert call(sandbox, "list_files").value == ["a.txt", "sub/"]
    assert call(sandbox, "write_file", path="new.txt", text="new").error is None
    assert (layer / "upper/new.txt").read_text() == "new"
    assert sorted(path.name for path in folder.iterdir()) == ["a.txt", "sub"]


def test_the_view_goes_away_under_a_container_that_still_runs(
    backend: DockerBackend, base_image: str, maker: ViewMaker, folder: Path, layer: Path
) -> None:
    sandbox = blank(backend, base_image)
    sandbox.show(maker.layer_view(Folder.at(folder), layer, exec=False).mount)
    assert call(sandbox, "read_file", path="a.txt").error is None
    slot = sandbox._settings.slot
    assert slot is not None
    slot.close()
    assert call(sandbox, "read_file", path="a.txt").error is not None
    assert call(sandbox, "list_files").error is not None


def test_a_stopped_sandbox_has_no_process_and_no_mount(
    backend: DockerBackend,
    engine: Engine,
    code_image: str,
    maker: ViewMaker,
    folder: Path,
    layer: Path,
    runtime: RuntimeDir,
) -> None:
    sandbox = blank(backend, code_image, Exec.FREE)
    sandbox.show(maker.layer_view(Folder.at(folder), layer, exec=True).mount)
    pid = first_process(engine.inspect(sandbox.id))
    sandbox.stop()
    sandbox.stop()
    assert sandbox.lost
    assert not Path(f"/proc/{pid}/root").exists()
    assert mounted_below(runtime.path / "slots") == []
    with pytest.raises(SandboxLost):
        call(sandbox, "list_files")
    sandbox.close()
    assert engine.inspect(sandbox.id) is None


def test_a_slot_takes_one_view_once(
    backend: DockerBackend, base_image: str, maker: ViewMaker, folder: Path, layer: Path
) -> None:
    sandbox = blank(backend, base_image)
    view = maker.layer_view(Folder.at(folder), layer, exec=False)
    sandbox.show(view.mount)
    with pytest.raises(SandboxError, match="awaits no workspace"):
        sandbox.show(view.mount)


def writable_as_read_only(maker: ViewMaker, folder: Path) -> Mount:
    """A view that can be written to, handed over as one that cannot."""
    view = maker.direct_view(Folder.at(folder), read_only=False, exec=False)
    return replace(view.mount, read_only=True)


def test_a_view_with_a_wrong_flag_is_refused(
    backend: DockerBackend, engine: Engine, base_image: str, maker: ViewMaker, folder: Path
) -> None:
    sandbox = blank(backend, base_image, read_only=True)
    with pytest.raises(SandboxRefused, match=r"the mount /workspace is .*rw.*, not .*ro"):
        sandbox.show(writable_as_read_only(maker, folder))
    assert engine.inspect(sandbox.id) is None


def test_twin_without_the_second_check_it_would_be_written_to(
    backend: DockerBackend,
    base_image: str,
    maker: ViewMaker,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("trilemma.sandbox.dockersandbox.verify_arrival", lambda *found: None)
    sandbox = blank(backend, base_image, read_only=True)
    sandbox.show(writable_as_read_only(maker, folder))
    call(sandbox, "write_file", path="canary", text="x")
    assert (folder / "canary").exists()


@pytest.fixture
def smuggler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is shown, a folder of secrets comes with it."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "secret.txt").write_text("secret\n")
    put = Slot.put

    def smuggle(self: Slot, view: Path) -> None:
        put(self, view)
        subprocess.run(["mount", "--bind", str(secrets), str(self.path / "sub")], check=True)

    monkeypatch.setattr(Slot, "put", smuggle)


@pytest.mark.usefixtures("smuggler")
def test_what_else_arrives_is_refused(
    backend: DockerBackend,
    base_image: str,
    maker: ViewMaker,
    folder: Path,
    layer: Path,
    runtime: RuntimeDir,
) -> None:
    sandbox = blank(backend, base_image)
    view = maker.layer_view(Folder.at(folder), layer, exec=False)
    with pytest.raises(SandboxRefused, match="what was mounted later"):
        sandbox.show(view.mount)
    assert mounted_below(runtime.path / "slots") == []


@pytest.mark.usefixtures("smuggler")
def test_twin_without_the_second_check_the_secret_is_read(
    backend: DockerBackend,
    base_image: str,
    maker: ViewMaker,
    folder: Path,
    layer: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("trilemma.sandbox.dockersandbox.verify_arrival", lambda *found: None)
    sandbox = blank(backend, base_image)
    sandbox.show(maker.layer_view(Folder.at(folder), layer, exec=False).mount)
    assert "secret" in str(call(sandbox, "read_file", path="sub/secret.txt").value)


def test_where_mounts_do_not_propagate_no_blank_awaits_a_workspace(
    backend: DockerBackend, base_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trilemma.sandbox.mounts.make_shared", lambda tree: None)
    assert backend.late
    with pytest.raises(SandboxError):
        blank(backend, base_image)
    assert not backend.late


def test_an_engine_that_refuses_the_mount_gets_no_blank_that_awaits_a_workspace(
    backend: DockerBackend, base_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that does not see this machine's folders."""
    make = Slot.__init__

    def unseen(self: Slot, root: Path) -> None:
        make(self, root)
        self.close()

    monkeypatch.setattr(Slot, "__init__", unseen)
    with pytest.raises(SandboxError, match="does not exist"):
        blank(backend, base_image)
    assert not backend.late


def test_a_kernel_that_refuses_a_slot_is_not_asked_again(
    backend: DockerBackend, base_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(tree: int) -> None:
        raise PermissionError(1, "mount_setattr: Operation not permitted")

    monkeypatch.setattr("trilemma.sandbox.mounts.make_shared", refused)
    with pytest.raises(SandboxError, match="the kernel refuses a slot"):
        blank(backend, base_image)
    assert not backend.late


def fails_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = ("/opt/trilemma/nothing-of-that-name",)
    monkeypatch.setattr("trilemma.sandbox.container.ENTRYPOINT", entry)


def is_not_what_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trilemma.sandbox.verify.derive", lambda *found: parse(["code"]))


@pytest.mark.parametrize("oddity", [fails_to_start, is_not_what_was_asked_for])
def test_one_odd_image_says_nothing_about_the_others(
    oddity: Callable[[pytest.MonkeyPatch], None],
    backend: DockerBackend,
    base_image: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as odd:
        oddity(odd)
        with pytest.raises(SandboxError):
            blank(backend, base_image)
    assert backend.late
    assert blank(backend, base_image).id


def test_a_runtime_directory_on_a_shared_mount(
    tmp_path: Path, engine: Engine, base_image: str, folder: Path, layer: Path
) -> None:
    """As ``/run`` is where systemd runs: what is mounted there appears in other places too."""
    root = tmp_path / "shared"
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=700", "x", str(root)], check=True)
    subprocess.run(["mount", "--make-shared", str(root)], check=True)
    try:
        runtime = RuntimeDir.create(root)
        backend, maker = DockerBackend(runtime), ViewMaker(runtime.path)
        try:
            sandbox = blank(backend, base_image)
            sandbox.show(maker.layer_view(Folder.at(folder), layer, exec=False).mount)
            assert call(sandbox, "list_files").value == ["a.txt", "sub/"]
        finally:
            backend.close()
            maker.close()
        assert mounted_below(root) == [root]
    finally:
        subprocess.run(["umount", "-l", str(root)], check=True)


def test_a_pool_shows_each_domain_its_own_folder(
    backend: DockerBackend,
    engine: Engine,
    base_image: str,
    maker: ViewMaker,
    tmp_path: Path,
    runtime: RuntimeDir,
) -> None:
    pool = Pool(backend, blanks=1, ceiling=2)
    seen: dict[str, str] = {}
    views: list[View] = []
    try:
        for name in ("one", "two", "three"):
            folder, layer = tmp_path / name, tmp_path / f"{name}-layer"
            for path in (folder, layer):
                path.mkdir()
            (folder / name).touch()
            views.append(maker.layer_view(Folder.at(folder), layer, exec=False))
            asked = replace(spec(base_image, views[-1].mount), domain=name)
            sandbox = pool.lease(asked)
            assert seen.setdefault(sandbox.id, name) == name
            result = sandbox.call(SandboxCall("c", BuiltinEntry("list_files"), {}, 20.0))
            assert result.value == [name]
            pool.release_session("", [asked.mount])
            assert sandbox.lost
            # Unmounted from the container and the host before anybody else may have the folder.
            assert not any(view.mount.source in mounted_below(runtime.path) for view in views[:-1])
            views[-1].close()
    finally:
        pool.close()
    assert engine.containers(f"dev.trilemma.instance={runtime.instance}") == ()
    assert mounted_below(runtime.path / "slots") == []
