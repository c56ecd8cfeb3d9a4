"""Run checkers of containers in every kind of sandbox: ``python -m tests.checkers FOLDER``.

What each says goes to ``FOLDER/<kind>.<checker>.txt``; beside it what it says in a container as
``docker run`` makes it, and for one where it is root and may do more: there it finds something.
``docs/sandbox.md`` explains what they find. It takes a minute, so it is not part of the tests.
"""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import docker
from tests.checkers.tools import fetch

from trilemma.policy.capability import Capability, CapabilitySet, ordered
from trilemma.sandbox import images
from trilemma.sandbox.base import BuiltinEntry, ModuleEntry, SandboxCall
from trilemma.sandbox.docker import DockerBackend
from trilemma.sandbox.folder import Folder
from trilemma.sandbox.leftovers import remove_directory
from trilemma.sandbox.limits import Limits
from trilemma.sandbox.runtime import RuntimeDir
from trilemma.sandbox.spec import Egress, Exec, Mount, SandboxSpec, ToolModule
from trilemma.sandbox.views import ViewMaker

KDIGGER = "capabilities cgroups containerdetect devices environment mount node pidnamespace"
COMMANDS = {
    # Now and then one of the calls that it tries is not answered, in whatever container.
    "amicontained": "for n in 1 2 3; do timeout -s KILL 10 /checkers/amicontained && break; done",
    "kdigger": f"/checkers/kdigger dig {KDIGGER} processes runtime token usernamespace",
    "cepheus": "sh /checkers/cepheus/cepheus/enumerator/cepheus-enum.sh",
}
SOURCE = """
import os
def execute(path: str) -> None:
    os.execve(path, [path], {})
"""
EXECUTE = ToolModule("execute", SOURCE, hashlib.sha256(SOURCE.encode()).hexdigest())
SECONDS = 120.0
LAX = (
    "--user=0:0",
    "--cap-add=SYS_ADMIN",
    "--cap-add=SYS_PTRACE",
    "--security-opt=seccomp=unconfined",
)


def main(found: Path) -> None:
    found.mkdir(parents=True, exist_ok=True)
    tools = fetch()
    api = docker.APIClient(version="auto", timeout=600)
    image = _image(api, tools, images.ensure("code", progress=print))
    try:
        for name, command in COMMANDS.items():
            _keep(found, "docker", name, _plain(image, command))
        # The others try system calls, and where they are root some of those are never answered.
        script = COMMANDS["cepheus"]
        _keep(found, "root", "cepheus", _plain(image, script, "--user=0:0"))
        _keep(found, "lax", "cepheus", _plain(image, script, *LAX))
        with tempfile.TemporaryDirectory() as root:
            _in_sandboxes(Path(root), image, found)
    finally:
        api.remove_image(image, force=True)
        api.close()
    _match(tools, found)


def _image(api: docker.APIClient, tools: Path, base: str) -> str:
    """The image for code, with the checkers in it."""
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        archive.add(tools, "checkers")
        recipe = f"FROM {base}\nCOPY checkers /checkers\n".encode()
        info = tarfile.TarInfo("Dockerfile")
        info.size = len(recipe)
        archive.addfile(info, io.BytesIO(recipe))
    context.seek(0)
    said = list(api.build(fileobj=context, custom_context=True, decode=True, rm=True))
    return next(str(line["aux"]["ID"]) for line in said if "aux" in line)


def _plain(image: str, command: str, *options: str) -> str:
    """What a checker says where nobody thought about it."""
    run = ["docker", "run", "--rm", "--network", "none", *options, image]
    run += ["sh", "-c", f"{command} 2>&1"]
    return subprocess.run(run, capture_output=True, text=True, timeout=SECONDS, check=False).stdout


def _in_sandboxes(root: Path, image: str, found: Path) -> None:
    runtime = RuntimeDir.create(root / "run")
    views, backend = ViewMaker(runtime.path), DockerBackend(runtime)
    try:
        for profile in _profiles():
            folder = root / ("_".join(ordered(profile)) or "none")
            folder.mkdir()
            mount = None
            if Capability.FILES in profile:
                code = Capability.CODE in profile
                mount = views.direct_view(Folder.at(folder), read_only=False, exec=code).mount
            _try(backend, _spec(profile, image, mount), found)
    finally:
        backend.close()
        views.close()
        remove_directory(runtime.path)


def _profiles() -> list[CapabilitySet]:
    files, internet, code = Capability.FILES, Capability.INTERNET, Capability.CODE
    pairs = [(files, internet), (files, code), (internet, code)]
    return [frozenset(p) for p in ((), (files,), (internet,), (code,), *pairs)]


def _spec(profile: CapabilitySet, image: str, mount: Mount | None) -> SandboxSpec:
    code = Capability.CODE in profile
    internet = Egress.TUNNEL if code else Egress.STRUCTURED
    return SandboxSpec(
        capabilities=profile,
        exec=Exec.FREE if code else Exec.NEVER,
        egress=internet if Capability.INTERNET in profile else Egress.NONE,
        mount=mount,
        image=image,
        limits=Limits(memory=1024 * 1024 * 1024),
        modules=(EXECUTE,),
    )


def _try(backend: DockerBackend, spec: SandboxSpec, found: Path) -> None:
    sandbox = backend.create(spec)
    kind = "_".join(ordered(spec.capabilities)) or "none"
    for name, command in COMMANDS.items():
        if spec.exec is Exec.FREE:
            entry, arguments = BuiltinEntry("run_code"), {"language": "shell", "code": command}
            result = sandbox.call(SandboxCall(name, entry, arguments, SECONDS))
            value = result.value or {}
            text = f"{value.get('stdout', '')}{value.get('stderr', '')}" or str(result.error)
        else:
            module = ModuleEntry("execute", "execute")
            path = "/bin/sh" if name == "cepheus" else f"/checkers/{name}"
            result = sandbox.call(SandboxCall(name, module, {"path": path}, SECONDS))
            text = f"it cannot start: {result.error}\n"
        _keep(found, kind, name, text)
    sandbox.close()


def _keep(found: Path, kind: str, name: str, text: str) -> None:
    (found / f"{kind}.{name}.txt").write_text(text)
    print(f"{kind}: {name}: {len(text.splitlines())} lines")


def _match(tools: Path, found: Path) -> None:
    """What the engine of ``cepheus`` makes of what its script saw."""
    for posture in sorted(found.glob("*.cepheus.txt")):
        if not posture.read_text().startswith("{"):
            continue
        match = [sys.executable, "-m", "cepheus", "analyze", str(posture)]
        path = {"PYTHONPATH": str(tools / "cepheus"), "COLUMNS": "150", "NO_COLOR": "1"}
        said = subprocess.run(
            match, capture_output=True, text=True, env=os.environ | path, check=False
        )
        posture.with_suffix(".analysis.txt").write_text(said.stdout + said.stderr)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
