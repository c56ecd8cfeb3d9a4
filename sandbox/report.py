"""What a tool host reports when it becomes ready."""

from dataclasses import dataclass

from trilemma.errors import SandboxLost

from .frames import Frame


@dataclass(frozen=True, slots=True)
class Attempted:
    """One thing the tool host tried, and what came of it."""

    name: str
    expected: str
    """``refused`` or ``allowed``."""
    outcome: str
    detail: str
    """The error, such as ``EPERM``."""

    @property
    def surprising(self) -> bool:
        """Whether the sandbox is not what its profile says."""
        return self.outcome != self.expected or self.detail.startswith("broken")


@dataclass(frozen=True, slots=True)
class SelfTest:
    """The report of one tool host, before its first call."""

    attempts: tuple[Attempted, ...]
    missing: tuple[str, ...]
    """Python modules that were asked for and are not in the image."""
    python: str
    machine: str

    @property
    def surprises(self) -> tuple[Attempted, ...]:
        """The attempts that went otherwise than the profile demands."""
        return tuple(attempt for attempt in self.attempts if attempt.surprising)


def read_report(frame: Frame) -> SelfTest:
    """The report in a ``ready`` frame."""
    attempts = read_attempts(frame, "ready")
    try:
        return SelfTest(
            attempts=attempts,
            missing=tuple(map(str, frame["missing"])),
            python=str(frame["python"]),
            machine=str(frame["machine"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise SandboxLost(f"the tool host did not report what it is: {error!r}") from None


def read_attempts(frame: Frame, kind: str) -> tuple[Attempted, ...]:
    """What was tried, in a frame of the kind that was asked for. Never nothing."""
    try:
        if frame["type"] != kind or not frame["attempts"]:
            raise ValueError("not a report")
        return tuple(Attempted(**attempt) for attempt in frame["attempts"])
    except (KeyError, TypeError, ValueError) as error:
        raise SandboxLost(f"the tool host did not report what it tried: {error!r}") from None
