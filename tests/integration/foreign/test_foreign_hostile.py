"""An image that tries to run before, in or instead of the tool host; by itself it does.

Whatever a process has loaded is in its ``maps``: of the tool host's nothing may be from the image.
"""

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.integration.foreign import images
from tests.integration.foreign.conftest import Made, call
from tests.integration.foreign.images import File

from trilemma.sandbox import container as configured, docker as backend_module
from trilemma.sandbox.base import BuiltinEntry, ModuleEntry
from trilemma.sandbox.container import ENTRYPOINT, ENVIRONMENT, HOST_TREE, MASKED_PATHS
from trilemma.sandbox.engine import Engine
from trilemma.sandbox.evidence import first_process
from trilemma.sandbox.hosttree import HostTree
from trilemma.sandbox.spec import Exec

pytestmark = [pytest.mark.docker, pytest.mark.root]

EVIL = "/evil/library.so"
LOUD = "PCPROFILE_OUTPUT=/tmp/planted-library"
"""glibc's ``libpcprofile.so`` makes this file as soon as it is loaded, by whomever."""
PLANT = b"open(f'/tmp/planted-{__import__(\"os\").getpid()}', 'w')\n"
CONFIGURATION = f"""
openssl_conf = start
[start]
providers = found
[found]
evil = evil_section
[evil_section]
module = {EVIL}
activate = 1
"""
IMPORTS = "import planted\ndef told() -> int: return planted.PID"
LINES = (
    'ENTRYPOINT ["/bin/sh", "-c", "echo acts; /bin/sleep ${1:-0}", "sh"]',
    "HEALTHCHECK --interval=1s CMD /bin/touch /tmp/health",
    f"ENV LD_PRELOAD={EVIL} LD_LIBRARY_PATH=/evil PYTHONPATH=/evil PYTHONHOME=/evil",
    "ENV PYTHONSTARTUP=/evil/planted.py OPENSSL_CONF=/usr/lib/ssl/openssl.cnf PATH=/evil",
    "USER 0:0",
    "WORKDIR /evil",
    "EXPOSE 80/tcp",
    "ONBUILD RUN false",
    "STOPSIGNAL SIGWINCH",
)


def library() -> bytes:
    """A library that any program of the same C library can load."""
    return images.content(images.debian("libc6"), f"usr/lib/{_triplet()}/libpcprofile.so")


def _triplet() -> str:
    import platform

    return f"{platform.machine()}-linux-gnu"


def packed() -> bytes:
    """A standard library in one archive, as far as it gets."""
    source = "import posix\nposix.open('/tmp/planted-early', posix.O_CREAT)\nposix._exit(7)\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("codecs.py", "encodings/__init__.py", "os.py"):
            archive.writestr(name, source)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def hostile(busybox: Path, shell: tuple[File, ...]) -> Iterator[str]:
    evil, packages = library(), "usr/lib/python3/dist-packages"
    python = PLANT + b"import os; PID = os.getpid()\n"
    files = [
        *shell,
        File("etc/ld.so.preload", f"{EVIL}\n".encode()),
        File(EVIL, evil, 0o755),
        *(File(f"evil/{name}", evil, 0o755) for name in ("libc.so.6", "libm.so.6", "libz.so.1")),
        File("etc/ld.so.cache", b"glibc-ld.so.cache1.1" + bytes(64)),
        File("usr/lib64/ld-linux-x86-64.so.2", b"#!/bin/sh\ntouch /tmp/loader\n", 0o755),
        File("usr/lib/ssl/openssl.cnf", CONFIGURATION.encode()),
        File("usr/lib/locale/C.utf8/LC_CTYPE", bytes(4096)),
        File("usr/share/zoneinfo/UTC", b"TZif" + bytes(4096)),
        *(File(f"{place}/python311.zip", packed()) for place in ("usr/lib", "opt/lib")),
        *(
            File(f"{place}/{name}.py", python)
            for place in (packages, "usr/local/lib/python3.11/dist-packages", "evil")
            for name in ("planted", "sitecustomize", "usercustomize", "json")
        ),
        File("usr/lib/python3.11/sitecustomize.py", python),
        File("usr/bin/python3", b"#!/bin/sh\necho own $0\n", 0o755),
    ]
    with images.image(*LINES, layers=[busybox], files=files) as made:
        yield made


def process_of(engine: Engine, sandbox: Any) -> Path:
    return Path(f"/proc/{first_process(engine.inspect(sandbox.id))}")


def strangers(process: Path) -> set[str]:
    """Files that a process has mapped and that are not of the tool host's tree."""
    mapped = {line.split(maxsplit=5)[5] for line in _lines(process / "maps") if "/" in line}
    return {path for path in mapped if not path.startswith(f"{HOST_TREE}/")}


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def planted(process: Path) -> list[str]:
    return sorted(path.name for path in (process / "root/tmp").iterdir())


@pytest.mark.parametrize("execution", [Exec.NEVER, Exec.ONCE, Exec.FREE])
def test_nothing_of_the_image_is_in_the_tool_host(
    hostile: str,
    made: Made,
    engine: Engine,
    execution: Exec,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(configured, "ENVIRONMENT", (*ENVIRONMENT, LOUD))
    sandbox = made(hostile, execution, IMPORTS)
    process = process_of(engine, sandbox)
    result = call(sandbox, ModuleEntry("tools", "told"))
    # Packages for code agents are there for the calls that may run code, in their own process.
    assert isinstance(result.value, int) is (execution is Exec.FREE)
    assert result.value != 1
    assert strangers(process) == set()
    assert planted(process) == ([f"planted-{result.value}"] if execution is Exec.FREE else [])
    assert (engine.inspect(sandbox.id) or {})["State"].get("Health") is None
    variables = (process / "environ").read_bytes().decode().split("\0")
    assert {v for v in variables if v and not v.startswith("HOSTNAME=")} == {*ENVIRONMENT, LOUD}


def test_code_runs_with_the_images_programs(hostile: str, made: Made) -> None:
    run = BuiltinEntry("run_code")
    value = call(made(hostile, Exec.FREE), run, language="python", code="").value
    assert value["stdout"] == "own /usr/bin/python3\n"


def test_twin_by_itself_the_image_acts(hostile: str) -> None:
    assert images.by_itself(hostile) == "acts\n"


def test_twin_by_itself_its_health_check_runs(hostile: str) -> None:
    container = images.docker("run", "-d", "--network=none", "--tmpfs=/tmp", hostile, "60").strip()
    try:
        wait = "until [ -e /tmp/health ]; do /bin/sleep 0.1; done; echo runs"
        assert images.docker("exec", container, "/bin/sh", "-c", wait) == "runs\n"
    finally:
        images.docker("rm", "-f", container)


@contextmanager
def started(image: str, engine: Engine, config: dict[str, Any]) -> Iterator[Path]:
    """Process 1 of a container with the tool host's tree, and with ``config``."""
    mount = {"Type": "volume", "Source": HostTree().volume(), "Target": HOST_TREE}
    host = {"Mounts": [mount], "NetworkMode": "none", "Tmpfs": {"/tmp": ""}}
    whole = {"Image": image, "User": "0:0", "HostConfig": host | config.pop("HostConfig", {})}
    container = engine.create(whole | config, "")
    try:
        engine.start(container)
        yield process_of(engine, type("Twin", (), {"id": container}))
    finally:
        engine.remove(container)


def python(source: str, start: tuple[str, ...] = ENTRYPOINT[:-1]) -> list[str]:
    """The tool host's interpreter with other work."""
    return [*start, "-c", f"{source}\nopen('/tmp/ready', 'w')\nwhile True: pass"]


def until_ready(process: Path) -> None:
    while not (process / "root/tmp/ready").exists():
        assert process.exists(), "it has ended"


MASKED = {"HostConfig": {"MaskedPaths": list(MASKED_PATHS)}}
CLEAR = ("LD_PRELOAD", "LD_LIBRARY_PATH", LOUD)
BARE = {"Env": [*ENVIRONMENT, *CLEAR], "Entrypoint": python("import hashlib; hashlib.sha256()")}
LOADED: dict[str, dict[str, Any]] = {
    "the image's variables": MASKED | {"Env": [*ENVIRONMENT, "LD_LIBRARY_PATH", LOUD]},
    "the list of libraries": {"HostConfig": {"MaskedPaths": []}},
    "OpenSSL's settings": MASKED | {"Env": [*CLEAR]},
}


@pytest.mark.parametrize("name", LOADED)
def test_twin_without_the_setting_the_library_is_loaded(
    hostile: str, engine: Engine, name: str
) -> None:
    with started(hostile, engine, BARE | LOADED[name]) as process:
        until_ready(process)
        assert "planted-library" in planted(process)
    with started(hostile, engine, BARE | MASKED) as process:
        until_ready(process)
        assert planted(process) == ["ready"]


def test_twin_from_another_place_python_takes_the_images_library(
    hostile: str, engine: Engine
) -> None:
    elsewhere = tuple("/opt/bin/python3" if "python3" in word else word for word in ENTRYPOINT[:-1])
    place = [*elsewhere]
    place[elsewhere.index("/opt/bin/python3") + 1] = ENTRYPOINT[6]
    keep = {"Entrypoint": ["/bin/sh", "-c", '"$@"; echo $? > /tmp/ready; sleep 60', "sh", *place]}
    with started(hostile, engine, BARE | keep | MASKED) as process:
        until_ready(process)
        assert "planted-early" in planted(process)


def test_twin_without_the_mask_a_sandbox_loads_the_library(
    hostile: str, made: Made, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked = tuple(path for path in MASKED_PATHS if path != "/etc/ld.so.preload")
    monkeypatch.setattr(configured, "MASKED_PATHS", masked)
    monkeypatch.setattr(backend_module, "verify", lambda *_: None)
    assert EVIL in strangers(process_of(engine, made(hostile)))
