"""A request that the proxy reads: sent anew to the other side, its response streamed back."""

import contextlib

from .dial import Upstream
from .headers import HeaderField, added, arriving, written
from .inbound import Inbound
from .meter import Traffic
from .outbound import Outbound, OutboundResponse
from .outgoing import Outgoing
from .request import EgressAnswer, EgressFailure, Outcome


async def forward(
    inbound: Inbound, outgoing: Outgoing, answer: EgressAnswer, upstream: Upstream, traffic: Traffic
) -> int:
    """Send one request and stream its response back; gives the response's status.

    A redirect is a response like any other: whoever follows it asks anew.

    Raises:
        EgressFailure: the other side failed, or its answer is too large.

    """
    outbound = Outbound(upstream)
    target = outgoing.target
    await outbound.send(outgoing.method, target.path, _fields(outgoing, answer), outgoing.body)
    response = await outbound.response()
    _check_announced(outgoing, response, traffic)
    await inbound.begin(response.status, arriving(response.fields))
    async with contextlib.aclosing(outbound.body()) as body:
        async for chunk in body:
            traffic.receive(len(chunk))
            await inbound.data(chunk)
    await inbound.end()
    return response.status


def _fields(outgoing: Outgoing, answer: EgressAnswer) -> tuple[HeaderField, ...]:
    """All fields of the request; what the gateway adds replaces what the sandbox sent."""
    gateway = added(answer.headers)
    names = {field.name for field in gateway}
    kept = tuple(field for field in outgoing.fields if field.name not in names)
    has_body = bool(outgoing.body) or outgoing.method in ("POST", "PUT", "PATCH")
    length = len(outgoing.body) if has_body else None
    return written(outgoing.target.authority, length, outgoing.structured) + kept + gateway


def _check_announced(outgoing: Outgoing, response: OutboundResponse, traffic: Traffic) -> None:
    """Refuse an answer that announces more than may be received, before any of it arrives."""
    if outgoing.method == "HEAD":
        return
    for field in response.fields:
        if field.name == b"content-length" and int(field.value) > traffic.may_receive:
            raise EgressFailure(
                Outcome.TOO_LARGE, 502, f"the answer is larger than {traffic.may_receive} bytes"
            )
