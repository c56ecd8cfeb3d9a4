"""What is released is what was developed: sdist, wheel and an installed wheel are compared."""

import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("gateway", "policy", "sandbox", "subagents", "inference")


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive, built from the tree."""
    target = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", target, cwd=ROOT)
    return next(target.glob("trilemma-*.tar.gz"))


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source archive as a release does, not from the tree."""
    target = tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(target, filter="data")
    source = next(target.glob("trilemma-*"))
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", target, cwd=source)
    return next(target.glob("trilemma-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel; what it depends on is lent by this one."""
    target = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", target, cwd=target)
    python = target / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "-q")
    run(*pip, "--no-deps", "--no-index", wheel, cwd=target)
    site = next(target.glob("lib/python*/site-packages"))
    # A path in a .pth file lends packages, but not the editable install beside them.
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def tracked() -> set[str]:
    """The package's files by their path in the wheel, as they lie in the tree."""
    face = [p for p in (ROOT / "src/trilemma").iterdir() if not p.is_symlink()]
    files = [p for q in face for p in ([q] if q.is_file() else q.rglob("*")) if p.is_file()]
    found = {p.relative_to(ROOT / "src").as_posix() for p in files}
    for folder in FOLDERS:
        own = (p for p in (ROOT / folder).rglob("*") if p.is_file())
        found |= {f"trilemma/{p.relative_to(ROOT).as_posix()}" for p in own}
    return {path for path in found if "__pycache__" not in path}


def test_the_wheel_holds_every_file_of_the_package_and_no_other_name(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        every = set(archive.namelist())
    beside = {name for name in every if ".dist-info/" in name or ".data/" in name}
    names = every - beside
    assert names == tracked()
    assert {name.partition("/")[0] for name in names} == {"trilemma"}
    assert "trilemma/policy/rego/decision.rego" in names
    assert "trilemma/sandbox/toolhost/main.py" in names
    assert "trilemma/sandbox/images/Dockerfile.base" in names


def test_examples_lie_beside_the_environment_and_not_in_the_package(installed: Path) -> None:
    examples = installed.parent.parent / "share" / "trilemma" / "examples"
    assert (examples / "inbox" / "gate_off.py").is_file()
    assert len(list((examples / "inbox" / "letters").glob("*.eml"))) == 16


def test_the_sdist_holds_sources_tests_and_licence(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "pyproject.toml", "tests/test_packaging.py"} <= names
    assert not any(name.startswith(("src/trilemma/gateway", ".ci/", ".venv")) for name in names)


def test_the_wheel_can_be_imported_from_elsewhere(installed: Path, tmp_path: Path) -> None:
    code = (
        "import trilemma, trilemma.gateway, trilemma.policy.bundle as b; print(trilemma.__file__)"
    )
    place = run(installed, "-I", "-c", code, cwd=tmp_path).strip()
    assert Path(place).is_relative_to(installed.parent.parent)


def test_no_folder_can_be_imported_by_its_bare_name(installed: Path, tmp_path: Path) -> None:
    code = (
        "import importlib.util as u; "
        f"print([name for name in {FOLDERS!r} if u.find_spec(name) is not None])"
    )
    assert run(installed, "-I", "-c", code, cwd=tmp_path).strip() == "[]"


def test_the_wheel_carries_policy_and_tool_host_unchanged(installed: Path, tmp_path: Path) -> None:
    code = (
        "from trilemma.policy.bundle import Bundle; "
        "from trilemma.sandbox.images.identity import image_identity; "
        "print(Bundle.base().digest, image_identity('base'), image_identity('code'))"
    )
    assert run(installed, "-I", "-c", code, cwd=tmp_path) == run(
        sys.executable, "-I", "-c", code, cwd=tmp_path
    )


def test_the_command_starts(installed: Path, tmp_path: Path) -> None:
    text = run(installed.parent / "trilemma", "--help", cwd=tmp_path)
    assert "audit" in text
