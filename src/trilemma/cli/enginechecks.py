"""The container engine, as ``trilemma doctor`` sees it."""

from collections.abc import Iterator

from trilemma.cli.checks import Finding, Status
from trilemma.gateway.settings import Settings
from trilemma.sandbox import images
from trilemma.sandbox.confined import REMAPPED, ROOTLESS, own_users, security
from trilemma.sandbox.engine import Engine, Inspect
from trilemma.sandbox.keptlimits import unkept
from trilemma.sandbox.transport import runs_here


def check_engine(settings: Settings) -> Iterator[Finding]:
    """It answers, confines and limits, and has the images.

    Raises:
        EngineMissing: it does not answer.
    """
    engine = Engine()
    try:
        info = engine.info()
    finally:
        engine.close()
    text = f"Docker {info.get('ServerVersion')} {_mode(info)} at {engine.address}"
    yield Finding("engine", Status.OK, text)
    yield Finding("transport", Status.OK, _transport(engine.address, info))
    yield _seccomp(info)
    yield _cgroups(info)
    yield _runtimes(info)
    yield from _images()


def _mode(info: Inspect) -> str:
    options = security(info)
    if ROOTLESS in options:
        return "rootless"
    return "as root, with userns-remap" if REMAPPED in options else "as root"


def _transport(address: str, info: Inspect) -> str:
    if address.startswith("unix://") and runs_here(info):
        return "a socket in a folder that each sandbox shares with the gateway"
    why = (
        "its engine gives its users other numbers"
        if own_users(security(info))
        else ("its engine runs in another system")
    )
    return f"each sandbox's attached input and output; {why}"


def _seccomp(info: Inspect) -> Finding:
    if "seccomp" in security(info):
        return Finding("seccomp", Status.OK, "the engine confines system calls")
    return Finding("seccomp", Status.MISSING, "the engine was built or started without seccomp")


def _cgroups(info: Inspect) -> Finding:
    version = f"version {info.get('CgroupVersion', '1')}, {info.get('CgroupDriver')}"
    if lacking := unkept(info):
        return Finding("cgroups", Status.MISSING, f"{version}; {lacking}")
    swap = "" if info.get("SwapLimit") else "; no limit on swap"
    return Finding("cgroups", Status.OK, version + swap)


def _runtimes(info: Inspect) -> Finding:
    names = sorted(name for name in info.get("Runtimes") or {} if "." not in name)
    return Finding("runtimes", Status.OK, ", ".join(names) or "none named")


def _images() -> Iterator[Finding]:
    kinds: tuple[images.Kind, ...] = ("base", "code")
    for kind in kinds:
        found = images.find(kind)
        if found is None:
            text = "not built; the first run does it, or: trilemma image build"
            yield Finding(f"{kind} image", Status.NOTE, text)
        else:
            yield Finding(f"{kind} image", Status.OK, found)
