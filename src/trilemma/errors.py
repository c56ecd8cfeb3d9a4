"""Every error Trilemma raises on purpose.

A class exists where a caller acts differently::

    TrilemmaError
      x SpecError              an agent, tool, policy or argument is written wrong: mend the text
        - CrossingError        a value is not of the type that may cross between two agents
      x Denied                 the gateway refused; carries the explanation
      x PolicyError            the policy engine cannot answer (always ends as a denial)
      x LedgerError            the ledger cannot be read, written or trusted
        - LedgerTampered       its chain, its marks or an anchor disagree
      x WorkspaceError         a folder cannot be opened as asked
      x SandboxError           a sandbox cannot be made, or broke
        - EngineMissing        no container engine answers
        - ImageMissing         the image is not there; the message says how to build it
        - SandboxRefused       a sandbox could do more than its profile says; it was destroyed
        - SandboxLost          the sandbox died under a call; the call's outcome is unknown
        - CallTimeout          the call ran past its time and was killed
      x ModelError             a model cannot be reached or answered nonsense
      x LimitReached           a run's limit (steps, tokens, money, seconds) is used up
      x Cancelled              the run was cancelled by its caller
"""


class TrilemmaError(Exception):
    """Base of every error Trilemma raises on purpose; its text is one clear line."""


class SpecError(TrilemmaError, ValueError):
    """Something a person wrote is wrong. The text names the value, the place and the way on."""


class CrossingError(SpecError):
    """A value is not one of those that its declared type lets cross between two domains."""


class Denied(TrilemmaError, PermissionError):
    """The gateway refused. ``str(error)`` is the explanation a person or a model can act on."""

    def __init__(self, explanation: str, *, reasons: tuple[str, ...] = (), call: str = "") -> None:
        super().__init__(explanation)
        self.reasons = reasons
        self.call = call


class PolicyError(TrilemmaError):
    """The policy engine raised, timed out or answered nonsense."""


class LedgerError(TrilemmaError):
    """The ledger cannot be read or written. Without a ledger nothing runs."""


class LedgerTampered(LedgerError):
    """The chain, a column or an anchor disagrees with what was recorded."""


class WorkspaceError(TrilemmaError):
    """A folder cannot be opened, labelled or applied as asked."""


class SandboxError(TrilemmaError):
    """A sandbox cannot be made, or broke."""


class EngineMissing(SandboxError):
    """No container engine answers."""


class ImageMissing(SandboxError):
    """A sandbox image is not on this machine."""


class SandboxRefused(SandboxError):
    """A sandbox could do more than its profile says. It was destroyed before its first call."""


class SandboxLost(SandboxError):
    """The sandbox died under a call. Whether the call had an effect is unknown."""


class CallTimeout(SandboxError, TimeoutError):
    """A call ran past its time; it and everything it started were killed."""


class ModelError(TrilemmaError):
    """A model cannot be reached, or its answer cannot be used."""


class LimitReached(TrilemmaError):
    """A limit of the run is used up. ``limit`` is its name."""

    def __init__(self, limit: str, message: str) -> None:
        super().__init__(message)
        self.limit = limit


class Cancelled(TrilemmaError):
    """The run was cancelled by its caller."""
