"""One request on its way: read it, ask, connect, forward or tunnel, report how it ended."""

import asyncio

import h11

from .dial import Upstream
from .forward import forward
from .inbound import Inbound, InboundRequest
from .meter import Traffic
from .outgoing import Endpoint, Outgoing, outgoing
from .request import EgressAnswer, EgressFailure, EgressOutcome, Outcome
from .tunnel import tunnel
from .ways import Ways


class Exchange:
    """Serves one request. Each step that may fail raises EgressFailure; its end is reported."""

    def __init__(self, inbound: Inbound, endpoint: Endpoint, ways: Ways) -> None:
        self._inbound = inbound
        self._endpoint = endpoint
        self._ways = ways
        self._method = ""
        self._outgoing: Outgoing | None = None
        self._number = 0
        self._answer: EgressAnswer | None = None
        self._traffic = Traffic(ways.meter, 0, 0)
        self._address = ""
        self._status = 0
        self._outcome = Outcome.BROKEN

    async def run(self) -> bool:
        """Serve the next request; False when the sandbox has none left.

        Whatever goes wrong is answered and reported here; only cancellation is passed on.
        """
        try:
            request = await self._inbound.next_request()
            if request is None:
                return False
            await self._serve(request)
            self._outcome = Outcome.DONE
        except EgressFailure as failure:
            self._outcome = failure.outcome
            await self._refuse(failure)
        except (OSError, h11.ProtocolError):
            self._inbound.cut()
        except asyncio.CancelledError:
            self._outcome = Outcome.CUT
            raise
        finally:
            self._report()
        return self._inbound.reusable

    async def _serve(self, request: InboundRequest) -> None:
        self._method = request.method
        self._outgoing = outgoing(request, self._endpoint)
        answer = await self._ask(self._outgoing)
        self._traffic = Traffic(self._ways.meter, answer.budget_bytes_out, answer.max_bytes_in)
        self._traffic.send(self._outgoing.bytes_out)
        upstream = await self._connect(self._outgoing)
        try:
            await self._relay(self._outgoing, answer, upstream)
        finally:
            upstream.cut()

    async def _ask(self, out: Outgoing) -> EgressAnswer:
        """Nothing of a request goes further, not even a name lookup, before this allows it."""
        self._number = self._ways.number()
        answer = await self._ways.ask(self._number, out.asked(self._endpoint.call))
        self._answer = answer
        if not answer.allow:
            raise EgressFailure(Outcome.DENIED, 403, answer.reason_text)
        return answer

    async def _connect(self, out: Outgoing) -> Upstream:
        target = out.target
        upstream = await self._ways.dialer.open(
            target.host, target.port, tls=target.scheme == "https"
        )
        self._address = str(upstream.address)
        return upstream

    async def _relay(self, out: Outgoing, answer: EgressAnswer, upstream: Upstream) -> None:
        if out.target.scheme == "tunnel":
            await tunnel(self._inbound, out.target.host, upstream, self._traffic)
        else:
            self._status = await forward(self._inbound, out, answer, upstream, self._traffic)

    async def _refuse(self, failure: EgressFailure) -> None:
        try:
            await self._inbound.refuse(failure)
        except (OSError, h11.ProtocolError):
            self._inbound.cut()

    def _report(self) -> None:
        """Tell the gateway, except of what it denied itself and what never was a request."""
        denied = self._answer is not None and not self._answer.allow
        idle = not self._method and self._outcome is not Outcome.MALFORMED
        if denied or idle:
            return
        target = self._outgoing.target if self._outgoing else None
        outcome = EgressOutcome(
            call=self._endpoint.call,
            host=target.host if target else "",
            port=target.port if target else 0,
            scheme=target.scheme if target else "",
            method=self._method,
            outcome=self._outcome,
            status=self._status,
            bytes_out=self._traffic.sent,
            bytes_in=self._traffic.received,
            address=self._address,
        )
        self._ways.report(self._number, outcome)
