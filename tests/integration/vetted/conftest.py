"""Real programs as vetted commands: in a real sandbox, and in twins where a wall is missing."""

import hashlib
import itertools
import json
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from trilemma.policy.capability import parse
from trilemma.sandbox.base import CommandEntry, Sandbox, SandboxCall
from trilemma.sandbox.container import Settings, configuration
from trilemma.sandbox.docker import DockerBackend
from trilemma.sandbox.engine import Engine
from trilemma.sandbox.folder import Folder
from trilemma.sandbox.hosttree import HostTree
from trilemma.sandbox.images.cache import locked
from trilemma.sandbox.images.rootfs.apt import Apt
from trilemma.sandbox.images.rootfs.layer import write_layer
from trilemma.sandbox.images.rootfs.recipe import CODE, Recipe
from trilemma.sandbox.images.rootfs.unpack import unpack_all
from trilemma.sandbox.leftovers import remove_directory
from trilemma.sandbox.runtime import RuntimeDir
from trilemma.sandbox.spec import Egress, Exec, Mount, SandboxSpec
from trilemma.sandbox.toolhost import lock
from trilemma.sandbox.toolhost.bpf import NOTIFY, Rule, assemble
from trilemma.sandbox.toolhost.program import ENVIRONMENT
from trilemma.sandbox.views import ViewMaker

UNGATED = Path(__file__).with_name("ungated.py").read_text()
IMAGE = "trilemma-test-vetted"
PACKAGES = ("groff", "man-db", "openssh-client", "rsync")

GATE = (Rule("execve", NOTIFY), Rule("execveat", NOTIFY))
OTHERS = (*lock.NO_NEW_CODE, *lock.NO_ANONYMOUS_CODE, *lock.NO_HIDDEN_MODES)


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str


class Twin:
    """A sandbox's container in which nobody answers for a command's execve."""

    def __init__(
        self,
        engine: Engine,
        runtime: RuntimeDir,
        image: str,
        mount: Mount,
        *,
        confined: bool = True,
    ) -> None:
        spec = SandboxSpec(parse(["files"]), Exec.ONCE, Egress.NONE, mount, image)
        config = configuration(
            Settings(spec, "twin", runtime.instance, runtime.exchange(), HostTree().volume())
        )
        assert assemble((*OTHERS, *GATE)) == lock.command_lock()
        filters = [lock.host_lock("once", "none").hex(), assemble(OTHERS).hex()]
        if not confined:
            filters = [assemble(()).hex()] * 2
            config["HostConfig"]["SecurityOpt"] = ["no-new-privileges:true", "seccomp=unconfined"]
        config["Entrypoint"] = ["/usr/bin/python3", "-I", "-B", "-c", UNGATED, *filters]
        config |= {"OpenStdin": True, "StdinOnce": True}
        self._engine = engine
        self._id = engine.create(config, f"trilemma-twin-{secrets.token_hex(6)}")
        self._process = subprocess.Popen(
            ["docker", "start", "--attach", "--interactive", self._id],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self, argv: Sequence[str], stdin: str = "", environment: dict[str, str] | None = None
    ) -> Ran:
        """Run a command with everything in place but the gate."""
        more = {"environment": ENVIRONMENT | (environment or {}), "cwd": "/workspace"}
        return Ran(**self._ask({"argv": list(argv), "stdin": stdin} | more))

    def sha256(self, path: str) -> str:
        """The hash of a file of the image."""
        return str(self._ask({"hash": path})["sha256"])

    def close(self) -> None:
        """Remove the container."""
        self._process.communicate()
        self._engine.remove(self._id)

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        asking, answering = self._process.stdin, self._process.stdout
        assert asking is not None
        assert answering is not None
        print(json.dumps(question), file=asking, flush=True)
        answer: dict[str, Any] = json.loads(answering.readline())
        return answer


class Vetted:
    """A folder, a sandbox for vetted commands on it, and twins of that sandbox."""

    def __init__(self, folder: Path, sandbox: Sandbox, twins: Sequence[Twin]) -> None:
        self.folder = folder
        self.canary = folder / "canary"
        self.ungated, self.executable, self.unconfined = twins
        """Without the gate; without it and with a folder that allows execution; without any
        filter, also the Engine's."""
        self._sandbox = sandbox
        self._hashes: dict[str, str] = {}
        self._calls = itertools.count()

    def run(self, argv: Sequence[str], stdin: str = "") -> Ran:
        """Run a command as a session's call does."""
        program = argv[0]
        if program not in self._hashes:
            self._hashes[program] = self.ungated.sha256(program)
        entry = CommandEntry(program, self._hashes[program], tuple(argv), stdin)
        result = self._sandbox.call(SandboxCall(f"call-{next(self._calls)}", entry, {}, 60))
        assert result.error is None, result.error
        value = {name: result.value[name] for name in ("exit_code", "stdout", "stderr")}
        return Ran(**value)

    def harmless(self, argv: Sequence[str], stdin: str = "") -> Ran:
        """Run a command that tries to run the planted program, which must not happen."""
        self.canary.unlink(missing_ok=True)
        ran = self.run(argv, stdin)
        assert not self.canary.exists(), ran
        return ran

    def planted(
        self,
        twin: Twin,
        argv: Sequence[str],
        stdin: str = "",
        environment: dict[str, str] | None = None,
    ) -> None:
        """The same command in a twin: there the planted program runs."""
        self.canary.unlink(missing_ok=True)
        ran = twin.run(argv, stdin, environment)
        assert self.canary.exists(), ran

    def unharmed(
        self,
        twin: Twin,
        argv: Sequence[str],
        stdin: str = "",
        environment: dict[str, str] | None = None,
    ) -> None:
        """The same command in a twin where another wall still stands: that alone holds."""
        self.canary.unlink(missing_ok=True)
        ran = twin.run(argv, stdin, environment)
        assert not self.canary.exists(), ran


@pytest.fixture(scope="session")
def tools_image(code_image: str) -> str:
    """The code image with a few programs more."""
    name = f"{IMAGE}:{code_image.removeprefix('sha256:')[:16]}"
    return _id(name) or _built(name, code_image)


@pytest.fixture(scope="session")
def vetted(
    base_image: str, tools_image: str, engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Vetted]:
    """A folder with nothing in it yet, and everything around it."""
    folder = tmp_path_factory.mktemp("vetted")
    folder.chmod(0o755)
    runtime = RuntimeDir.create(tmp_path_factory.mktemp("run"))
    views, backend = ViewMaker(runtime.path), DockerBackend(runtime)
    with ExitStack() as stack:
        stack.callback(remove_directory, runtime.path)
        stack.callback(views.close)
        stack.callback(backend.close)
        held, executable = (
            views.direct_view(Folder.at(folder), read_only=False, exec=exec).mount
            for exec in (False, True)
        )
        spec = SandboxSpec(parse(["files"]), Exec.ONCE, Egress.NONE, held, tools_image)
        twins = [
            stack.enter_context(closing(Twin(engine, runtime, tools_image, mount, **options)))
            for mount, options in ((held, {}), (executable, {}), (held, {"confined": False}))
        ]
        yield Vetted(folder, backend.create(spec), twins)


def _built(name: str, code_image: str) -> str:
    """Lay the programs' packages over the code image; the engine adds one archive."""
    recipe = _recipe(code_image)
    identity = hashlib.sha256(repr(recipe).encode()).hexdigest()[:16]
    with locked() as folder:
        place = folder / f"test-vetted-{identity}"
        if not (place / "tools.tar").exists():
            for old in folder.glob("test-vetted-*"):
                shutil.rmtree(old)
            place.mkdir()
            packages = Apt(folder / "apt").fetch(recipe, print)
            tree = unpack_all(packages, recipe, place / "tree")
            write_layer(tree, place / "tools.new")
            shutil.rmtree(place / "tree")
            (place / "tools.new").rename(place / "tools.tar")
        # Images of earlier code images: nobody asks for them again.
        for earlier in _docker("images", "--quiet", IMAGE).split():
            _docker("rmi", "--force", earlier)
        (place / "Dockerfile").write_text(f"FROM {code_image}\nADD tools.tar /\n")
        _docker("build", "--quiet", "--tag", name, str(place))
    return _id(name)


def _recipe(code_image: str) -> Recipe:
    """The programs and what they need, less what the code image has."""
    show = ("--entrypoint", "/usr/bin/cat", code_image, "/opt/trilemma/packages.json")
    there = json.loads(_docker("run", "--rm", "--network", "none", *show))
    names = tuple(package["name"] for package in there)
    return Recipe(PACKAGES, (*CODE.without, *names), CODE.dropped, executables=None)


def _id(name: str) -> str:
    """The id of the image with that name; empty where there is none."""
    return _docker("images", "--quiet", "--no-trunc", name).strip()


def _docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True)
    return done.stdout
