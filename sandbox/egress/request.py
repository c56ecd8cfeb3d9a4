"""What the proxy asks the gateway, what the gateway answers, and how a request ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from trilemma.errors import SandboxError


class Mode(StrEnum):
    """What the proxy of a domain may offer."""

    STRUCTURED = "structured"
    """Connections for single calls; requests in clear, read whole before they are decided."""
    TUNNEL = "tunnel"
    """Those, and listening sockets on which CONNECT is allowed as well."""


@dataclass(frozen=True, slots=True)
class EgressRequest:
    """One request, or one tunnel, that wants to leave. Nothing has been resolved or sent yet."""

    call: str
    """What the gateway named the connection when it made it; the sandbox cannot choose it."""
    host: str
    """Canonical: lower case, IDNA, no trailing dot; an address in its shortest form."""
    port: int
    scheme: str
    """``http``, ``https`` or ``tunnel``."""
    method: str
    bytes_out: int
    """Everything in it that the agent can vary, in bytes; 0 for a tunnel."""
    structured: bool
    """True on a call's own connection; False for what came through a listening socket."""


@dataclass(frozen=True, slots=True)
class EgressAnswer:
    """The gateway's answer. The default of every number is nothing at all."""

    allow: bool
    reason_text: str = ""
    """Shown to the sandbox where ``allow`` is False."""
    budget_bytes_out: int = 0
    """What this request or tunnel may send at most."""
    max_bytes_in: int = 0
    """What it may receive at most; then it is cut."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Added by the proxy, such as a credential for this host. The sandbox never sees them."""


class Outcome(StrEnum):
    """How a request ended. A closed set: the ledger and the sandbox read these words."""

    DONE = "done"
    DENIED = "denied"
    MALFORMED = "malformed"
    ADDRESS_REFUSED = "address_refused"
    UNRESOLVED = "unresolved"
    UNREACHABLE = "unreachable"
    TLS_FAILED = "tls_failed"
    TOO_LARGE = "too_large"
    BUDGET_USED = "budget_used"
    NAME_MISMATCH = "name_mismatch"
    """The TLS name inside a tunnel is not the host that the tunnel was opened to."""
    BROKEN = "broken"
    """The other side closed early or answered nonsense."""
    CUT = "cut"
    """The gateway revoked it."""
    LOST = "lost"
    """The proxy died. What was sent is unknown: ``bytes_out`` is all that was allowed."""


@dataclass(frozen=True, slots=True)
class EgressOutcome:
    """How one request ended: exactly one for each that was asked, and one for each malformed."""

    call: str
    host: str
    port: int
    scheme: str
    method: str
    outcome: Outcome
    status: int
    """HTTP status of the answer of the other side; 0 where there was none."""
    bytes_out: int
    """Sent, as the budget counts it."""
    bytes_in: int
    address: str
    """The address connected to; empty where there was no connection."""


class EgressFailure(SandboxError):
    """A request cannot go on. The text is shown to the sandbox and names no address."""

    def __init__(self, outcome: Outcome, status: int, text: str) -> None:
        super().__init__(text)
        self.outcome = outcome
        self.status = status
