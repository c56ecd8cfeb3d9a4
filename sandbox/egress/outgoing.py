"""What would leave if a request were allowed, and how many bytes of it the agent chose."""

from dataclasses import dataclass

from trilemma.errors import SpecError

from .headers import HeaderField, counted, leaving
from .inbound import InboundRequest
from .request import EgressFailure, EgressRequest, Outcome
from .target import Target, absolute_target, tunnel_target


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a connection came in."""

    call: str
    structured: bool


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request in the form in which it would leave."""

    method: str
    target: Target
    fields: tuple[HeaderField, ...]
    body: bytes
    structured: bool

    @property
    def bytes_out(self) -> int:
        """Method, host, path, query, passed header fields and body; a tunnel is counted later."""
        if self.target.scheme == "tunnel":
            return 0
        line = len(self.method) + len(self.target.authority) + len(self.target.path)
        return line + counted(self.fields) + len(self.body)

    def asked(self, call: str) -> EgressRequest:
        """The facts of it that the gateway decides on."""
        return EgressRequest(
            call=call,
            host=self.target.host,
            port=self.target.port,
            scheme=self.target.scheme,
            method=self.method,
            bytes_out=self.bytes_out,
            structured=self.structured,
        )


def outgoing(request: InboundRequest, endpoint: Endpoint) -> Outgoing:
    """Read a request of a sandbox.

    Raises:
        EgressFailure: it cannot be read, or is of a form that never leaves from here.

    """
    if request.method == "CONNECT" and endpoint.structured:
        raise EgressFailure(
            Outcome.DENIED,
            403,
            "no tunnels from here: send the request itself in absolute form, "
            "such as GET https://example.org/ HTTP/1.1, and the proxy makes the TLS",
        )
    return Outgoing(
        method=request.method,
        target=_target(request),
        fields=leaving(request.fields, endpoint.structured),
        body=request.body,
        structured=endpoint.structured,
    )


def _target(request: InboundRequest) -> Target:
    try:
        if request.method != "CONNECT":
            return absolute_target(request.target)
        if request.body:
            raise SpecError("CONNECT has no body")
        return tunnel_target(request.target)
    except SpecError as error:
        raise EgressFailure(Outcome.MALFORMED, 400, str(error)) from None
