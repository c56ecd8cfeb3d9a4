"""The container engine, as ``trilemma doctor`` sees it."""

from collections.abc import Iterator

from trilemma.cli.checks import Finding, Status
from trilemma.gateway.settings import Settings
from trilemma.sandbox import images
from trilemma.sandbox.engine import Engine, Inspect
from trilemma.sandbox.transport import runs_here

_LIMITS = ("MemoryLimit", "PidsLimit", "CpuCfsQuota")


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
    security = [str(option) for option in info.get("SecurityOptions") or ()]
    rootless = any("name=rootless" in option for option in security)
    mode = "rootless" if rootless else "as root"
    text = f"Docker {info.get('ServerVersion')} {mode} at {engine.address}"
    yield Finding("engine", Status.OK, text)
    yield Finding("transport", Status.OK, _transport(engine.address, info))
    yield _seccomp(security)
    yield _cgroups(info)
    yield _runtimes(info)
    yield from _images()


def _transport(address: str, info: Inspect) -> str:
    if address.startswith("unix://") and runs_here(info):
        return "a socket in a folder that each sandbox shares with the gateway"
    return "each sandbox's attached input and output; its engine runs in another system"


def _seccomp(security: list[str]) -> Finding:
    if any("name=seccomp" in option for option in security):
        return Finding("seccomp", Status.OK, "the engine confines system calls")
    return Finding("seccomp", Status.MISSING, "the engine was built or started without seccomp")


def _cgroups(info: Inspect) -> Finding:
    lacking = [name for name in _LIMITS if not info.get(name)]
    version = f"version {info.get('CgroupVersion', '1')}, {info.get('CgroupDriver')}"
    if lacking:
        text = f"{version}; the kernel cannot keep {', '.join(lacking)}"
        return Finding("cgroups", Status.MISSING, text)
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
