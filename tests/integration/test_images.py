"""The two images as they really are: what they hold, how they are built, what is refused."""

import io
import json
import os
import shutil
import subprocess
import tarfile
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from trilemma.errors import EngineMissing, SandboxError, SpecError
from trilemma.sandbox.container import ENTRYPOINT, HOST_TREE
from trilemma.sandbox.images import Kind, audit, ensure, find, with_packages
from trilemma.sandbox.images.dockerfile import build_with_engine, kind_plan
from trilemma.sandbox.images.engine import ImageEngine
from trilemma.sandbox.images.identity import LABEL, ImageId, image_identity
from trilemma.sandbox.images.rootfs.assemble import system_layer
from trilemma.sandbox.images.wheels import fetch, resolve

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("engine")]

START = ENTRYPOINT[:-1]
"""The interpreter that the base image holds."""
BOTH: tuple[Kind, ...] = ("base", "code")


def quiet(_: str) -> None: ...


def run_in(image: str, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program in a throw-away container, as its image's user."""
    confined = ("--rm", "-i", "--network", "none", "--read-only", "--tmpfs", "/tmp")
    return subprocess.run(
        ["docker", "run", *confined, image, *command],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def api() -> Iterator[docker.APIClient]:
    client = docker.APIClient(version="auto")
    yield client
    client.close()


@pytest.fixture
def planted(api: docker.APIClient) -> Iterator[ImageId]:
    """An image with everything ours must not have."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, mode, content in (
            ("bin/su", 0o4755, b"\x7fELF"),
            ("bin/sh", 0o755, b"\x7fELF"),
            ("etc/open", 0o666, b""),
        ):
            info = tarfile.TarInfo(name)
            info.mode, info.size = mode, len(content)
            archive.addfile(info, io.BytesIO(content))
        for name, kind in (("dev/mem", tarfile.CHRTYPE), ("dev/pipe", tarfile.FIFOTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.devmajor, info.devminor = kind, 1, 1
            archive.addfile(info)
    name = f"trilemma-test-planted:{uuid.uuid4().hex}"
    subprocess.run(["docker", "import", "-", name], input=buffer.getvalue(), check=True)
    yield ImageId(name)
    api.remove_image(name)


def test_the_base_image_can_execute_one_interpreter_and_nothing_else(base_image: str) -> None:
    found = audit(ImageId(base_image))
    loader = next(path for path in found.programs if "/ld-linux" in path)
    assert found.programs == (f"{HOST_TREE}/usr/bin/python3.11", loader)
    assert run_in(base_image, "sh", "-c", "true").returncode == 127
    assert run_in(base_image, *START, "-c", "pass").returncode == 0


@pytest.mark.parametrize("kind", BOTH)
def test_no_image_holds_setuid_files_devices_or_files_others_may_write(kind: Kind) -> None:
    found = audit(ensure(kind, quiet))
    assert found.setuid == found.powers == found.special == ()
    assert found.writable == ("/tmp",)


def test_what_must_not_be_there_is_seen_when_it_is_there(planted: ImageId) -> None:
    found = audit(planted)
    assert found.setuid == ("/bin/su",)
    assert found.special == ("/dev/mem", "/dev/pipe")
    assert found.writable == ("/etc/open",)


def test_every_module_of_the_interpreter_can_be_loaded_in_the_base_image(base_image: str) -> None:
    code = """
import importlib, json, pathlib, sys
missing = []
for module in json.load(sys.stdin):
    try: importlib.import_module(module)
    except ImportError: missing.append(module)
print(json.dumps([missing, "sitecustomize" in sys.modules, sys.flags.isolated]))
"""
    wanted = ["asyncio", "bz2", "ctypes", "curses", "decimal", "email", "hashlib", "html.parser"]
    wanted += ["lzma", "multiprocessing", "readline", "sqlite3", "ssl", "uuid", "zlib", "zoneinfo"]
    done = run_in(base_image, *START, "-c", code, stdin=json.dumps(wanted))
    assert json.loads(done.stdout) == [[], False, 1], done.stderr


def test_the_code_image_holds_what_a_coder_uses(code_image: str) -> None:
    script = """
set -e
cd /tmp; export HOME=/tmp
git init -q r; cd r; printf 'a b\\n' > f; git add f
git -c user.name=a -c user.email=a@b commit -qm x
test "$(git log --oneline | wc -l)" = 1
rg -q 'a b' f; test "$(awk '{print $2}' f)" = b; test "$(echo '{"a":1}' | jq .a)" = 1
for tool in bash curl diff file find grep gzip less make mlist mshow patch ps sed tar tree unzip xz
do command -v $tool >/dev/null; done
python3 -c 'import ssl; assert ssl.create_default_context().get_ca_certs()'
"""
    done = run_in(code_image, "sh", "-c", script)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", BOTH)
def test_an_image_runs_nothing_by_itself_and_never_as_root(
    kind: Kind, api: docker.APIClient
) -> None:
    config = api.inspect_image(ensure(kind, quiet))["Config"]  # type: ignore[no-untyped-call]
    for field in ("Cmd", "Entrypoint", "Healthcheck", "OnBuild", "Volumes", "ExposedPorts"):
        assert not config.get(field)
    assert config["User"] == "64101:64101"


def test_an_image_of_the_right_name_that_brings_a_volume_is_not_taken(
    api: docker.APIClient,
) -> None:
    name, engine = f"trilemma-test-volume:{uuid.uuid4().hex}", ImageEngine(api)
    label = f"LABEL {LABEL}=abc"
    for changes, taken in (([label], True), ([label, "VOLUME /v"], False), ([], False)):
        options = [f"--change={change}" for change in changes]
        subprocess.run(["docker", "import", *options, "-", name], input=bytes(1024), check=True)
        assert (engine.find(name, "abc") is not None) is taken
        api.remove_image(name)


def test_the_same_packages_give_the_same_bytes(tmp_path: Path) -> None:
    digests = []
    for attempt in ("first", "second"):
        work = tmp_path / attempt
        work.mkdir()
        digests.append(system_layer("base", work, work / "layer.tar", quiet))
        shutil.rmtree(work)
    assert digests[0] == digests[1]


@pytest.mark.slow
@pytest.mark.root
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", BOTH)
def test_the_dockerfile_gives_the_same_content(
    kind: Kind, debian: str, api: docker.APIClient
) -> None:
    name = f"trilemma-test-{kind}:{uuid.uuid4().hex}"
    plan = kind_plan(kind, name, image_identity(kind), debian)
    try:
        built = build_with_engine(ImageEngine(api), plan, quiet)
        assert audit(built) == audit(ensure(kind, quiet, refresh=True))
    finally:
        api.remove_image(name, force=True)


@pytest.fixture(scope="module")
def debian() -> Iterator[str]:
    """A plain Debian image, in place of the one a Dockerfile would be pulled from."""
    if not shutil.which("mmdebstrap"):
        assert os.environ.get("CI") != "true", "CI needs mmdebstrap"
        pytest.skip("needs mmdebstrap")
    name = "trilemma-test-debian:local"
    command = "mmdebstrap --quiet --variant=apt bookworm - | docker import - " + name
    subprocess.run(["bash", "-o", "pipefail", "-c", command], check=True, capture_output=True)
    yield name
    subprocess.run(["docker", "rmi", name], check=True, capture_output=True)


def test_two_builds_at_once_end_with_one_image() -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(ensure("base", quiet))) for _ in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [find("base")] * 2


def test_packages_for_code_agents_are_there_and_pinned(api: docker.APIClient) -> None:
    image = with_packages(["markupsafe"], quiet)
    code = "import markupsafe._speedups as s; print(s.__file__)"
    done = run_in(image, "python3", "-I", "-c", code)
    assert done.stdout.startswith("/usr/local/lib/python3.11/dist-packages/markupsafe/")
    assert with_packages(["markupsafe"], quiet) == image
    found = audit(image)
    assert found.setuid == found.powers == found.special == ()
    assert found.writable == ("/tmp",)


def test_a_wheel_with_another_hash_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(resolve(["markupsafe"]))
    assert len(fetch(lock, tmp_path / "right")) == 1
    start, _, digest = lock.read_text().strip().rpartition(":")
    lock.write_text(f"{start}:{digest[::-1]}\n")
    with pytest.raises(SandboxError, match=r"^pip cannot get the packages: "):
        fetch(lock, tmp_path / "wrong")
    assert not list((tmp_path / "wrong").glob("*.whl"))


@pytest.mark.parametrize("bad", ["./folder", "a @ b", "--index-url=x", "a;b", "../x.whl", ""])
def test_what_is_not_a_package_name_is_refused(bad: str) -> None:
    with pytest.raises(SpecError, match=r"is not a package name"):
        with_packages([bad], quiet)


def test_without_an_engine_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(EngineMissing, match=r"^no container engine answers.*docker\.io[^\n]*$"):
        ensure("base", quiet)


@pytest.mark.root
def test_a_full_disk_is_one_line_and_no_image(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path], check=True)
    try:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        with pytest.raises(SandboxError, match=r"^[^\n]*$"):
            ensure("base", quiet, refresh=True)
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    assert os.path.exists(tmp_path)
