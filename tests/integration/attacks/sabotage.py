"""What the twins take away: one wall each, of a container that the test makes itself.

Nothing in the package can do this. A configuration is changed after it was made, or the source of
the tool host before it starts.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

Config = dict[str, Any]
Sabotage = Callable[[Config, Path], None]


def no_lock(config: Config, folder: Path) -> None:
    """The Engine's walls all stand; the tool host, and with it its lock, is not there."""


def no_profile(config: Config, folder: Path) -> None:
    config["HostConfig"]["SecurityOpt"] = ["no-new-privileges:true", "seccomp=unconfined"]


def network(config: Config, folder: Path) -> None:
    no_profile(config, folder)
    config["NetworkDisabled"] = False
    config["HostConfig"]["NetworkMode"] = "host"


def plain_folder(config: Config, folder: Path) -> None:
    """A bind mount of the folder, and of what lies beside it, as ``docker run -v`` makes one."""
    for source, target in ((folder, "/workspace"), (folder.parent, str(folder.parent))):
        bind = {"Type": "bind", "Source": str(source), "Target": target}
        config["HostConfig"]["Mounts"].append(bind)


def new_privileges(config: Config, folder: Path) -> None:
    """Without the profile as well: it cannot even be put on a container that may gain some."""
    plain_folder(config, folder)
    config["HostConfig"]["SecurityOpt"] = ["seccomp=unconfined"]


def executable_scratch(config: Config, folder: Path) -> None:
    options = config["HostConfig"]["Tmpfs"]["/tmp"]
    config["HostConfig"]["Tmpfs"]["/tmp"] = options.replace("noexec", "exec")


def writable_root(config: Config, folder: Path) -> None:
    config["User"] = "0:0"
    config["HostConfig"]["ReadonlyRootfs"] = False


def administrator(config: Config, folder: Path) -> None:
    no_profile(config, folder)
    config["User"] = "0:0"
    config["HostConfig"] |= {
        "CapAdd": ["SYS_ADMIN", "SYS_CHROOT", "MKNOD", "DAC_OVERRIDE", "NET_RAW"]
    }


def visible_sys(config: Config, folder: Path) -> None:
    config["HostConfig"]["MaskedPaths"] = []


def control_groups(config: Config, folder: Path) -> None:
    visible_sys(config, folder)
    config["User"] = "0:0"
    bind = {"Type": "bind", "Source": "/sys/fs/cgroup", "Target": "/sys/fs/cgroup"}
    config["HostConfig"]["Mounts"].append(bind)


def writable_proc(config: Config, folder: Path) -> None:
    config["User"] = "0:0"
    config["HostConfig"]["ReadonlyPaths"] = []


def host_processes(config: Config, folder: Path) -> None:
    config["HostConfig"]["PidMode"] = "host"


def a_device(config: Config, folder: Path) -> None:
    device = {"PathOnHost": "/dev/null", "PathInContainer": "/dev/x", "CgroupPermissions": "r"}
    config["HostConfig"]["Devices"] = [device]


OF_CONTAINER: dict[str, Sabotage] = {
    "no lock": no_lock,
    "no profile": no_profile,
    "network": network,
    "plain folder": plain_folder,
    "new privileges": new_privileges,
    "executable scratch": executable_scratch,
    "writable root": writable_root,
    "administrator": administrator,
    "visible /sys": visible_sys,
    "control groups": control_groups,
    "writable /proc": writable_proc,
    "host processes": host_processes,
    "a device": a_device,
}
"""By the name that ``rows.txt`` calls it."""

OF_TOOL_HOST = {
    "open descriptors": "child._keep_only = lambda link: link",
    "nobody ended": "host._end_all_others = lambda: None",
    "more open files": "child.limit_files = lambda settings: None",
}
"""Lines that are run before the tool host starts."""


def tool_host(entrypoint: tuple[str, ...], lines: str) -> list[str]:
    """How a container starts a tool host that was changed by ``lines``."""
    folder = Path(entrypoint[-1]).parent.parent
    program = f"""
import sys
sys.path.append({str(folder)!r})
from toolhost import child, host
{lines}
sys.exit(host.main(sys.argv[1:]))
"""
    return [*entrypoint[:-1], "-c", program]
