"""What the gateway tells a tool host, once, before anything else."""

from typing import Any, NamedTuple

from .frames import Frame, FrameError
from .tunnel import EGRESS_SOCKET

WORKSPACE = "/workspace"
SCRATCH = "/tmp"


class Module(NamedTuple):
    """A tool module as it was shipped."""

    name: str
    source: str


class Settings(NamedTuple):
    """The profile of this sandbox, as far as the tool host carries it."""

    exec: str
    """``never``, ``once`` or ``free``."""
    egress: str
    """``none``, ``structured`` or ``tunnel``."""
    workspace: str
    """``none``, ``ro`` or ``rw``; ``later`` until one is mounted."""
    output: int
    """Bytes of one answer."""
    file_size: int
    modules: tuple[Module, ...]
    way_out: str = EGRESS_SOCKET
    """Where a tunnel's connections go: the egress proxy's socket, or what leads to it."""
    open_files: int = 256
    """Of each process of a call."""

    @property
    def mounted(self) -> bool:
        """Whether there is a workspace to work in now."""
        return self.workspace in ("ro", "rw")

    @property
    def exclusive(self) -> bool:
        """Whether calls leave processes behind that must be gone before the next one."""
        return self.exec != "never"


def read_settings(frame: Frame | None) -> Settings:
    """The settings in a ``configure`` frame."""
    if frame is None or frame.pop("type", None) != "configure":
        raise FrameError("the first frame must be configure")
    modules = tuple(Module(**module) for module in frame.pop("modules"))
    settings = Settings(modules=modules, **frame)
    _one_of(settings.exec, "never", "once", "free")
    _one_of(settings.egress, "none", "structured", "tunnel")
    _one_of(settings.workspace, "none", "later", "ro", "rw")
    return settings


def _one_of(value: Any, *choices: str) -> None:
    if value not in choices:
        raise FrameError(f"{value!r} is none of {', '.join(choices)}")
