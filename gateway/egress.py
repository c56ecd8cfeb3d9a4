"""A domain's way out: its proxy process, and the decision on each request that wants to leave."""

import threading
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from typing import Any

from ..policy.capability import Capability
from ..policy.explain import explain
from ..policy.operator import EgressPolicy
from ..policy.request import AccessRequest, Act, EgressFacts
from ..sandbox.egress.client import EgressProxy
from ..sandbox.egress.request import EgressAnswer, EgressOutcome, EgressRequest, Mode
from .destinations import Destinations
from .enforcement import Actor, Enforcement, Entry, request
from .ledger.events import Event, Kind
from .ledger.fold import Held
from .outgoing import TUNNEL_SCHEME, Outgoing

STRUCTURED = "egress.structured"
TUNNEL = "egress.tunnel"
"""Accounts that bytes are charged to."""

_UNPAID = "the session has ended, or a limit of it or of one above it is used up"

MAX_BYTES_IN = 64 * 1024 * 1024
"""What one request or tunnel may bring in; then it is cut."""


@dataclass(frozen=True)
class Exit:
    """Who a connection belongs to. The gateway names it; the sandbox cannot."""

    actor: Actor
    destinations: Destinations
    outgoing: Outgoing


class DomainEgress:
    """One domain's proxies, started at first use. Safe to use from several threads.

    Structured requests and tunnels have a process each: sessions of one domain may want either,
    and whatever is wrong with a tunnel's process, a structured call never passes through it.
    """

    def __init__(self, enforcement: Enforcement, policy: EgressPolicy) -> None:
        self._enforcement = enforcement
        self._policy = policy
        self._lock = threading.Lock()
        self._proxies: dict[Mode, EgressProxy] = {}
        self._exits: dict[str, Exit] = {}
        self._listening: set[Path] = set()

    def connect(self, call: str, exit: Exit) -> socket:
        """A connection for one call, to hand into its sandbox.

        Raises:
            SandboxError: the proxy is gone; nothing leaves.
        """
        with self._lock:
            self._exits[call] = exit
            return self._started(Mode.STRUCTURED, exit).connect(call)

    def listen(self, path: Path, name: str, exit: Exit, uid: int) -> None:
        """Let a sandbox that holds code reach the proxy at ``path``, in the name of ``name``."""
        with self._lock:
            if path in self._listening:
                return
            self._exits[name] = exit
            self._started(Mode.TUNNEL, exit).listen(path, call=name, uid=uid)
            self._listening.add(path)

    def silence(self, path: Path, name: str) -> None:
        """End what :meth:`listen` began: afterwards nothing leaves in that name."""
        self._revoke(Mode.TUNNEL, name)
        with self._lock:
            self._listening.discard(path)

    def cut(self, call: str) -> None:
        """End a call's connection: afterwards nothing of it leaves."""
        self._revoke(Mode.STRUCTURED, call)

    def close(self) -> None:
        """End the proxies; every connection is cut."""
        with self._lock:
            proxies, self._proxies = self._proxies, {}
            self._listening.clear()
        for proxy in proxies.values():
            proxy.close()

    def _revoke(self, mode: Mode, name: str) -> None:
        with self._lock:
            proxy = self._proxies.get(mode) if name in self._exits else None
        if proxy is not None:
            proxy.revoke(name)
        with self._lock:
            self._exits.pop(name, None)

    def _started(self, mode: Mode, exit: Exit) -> EgressProxy:
        if mode not in self._proxies:
            self._proxies[mode] = EgressProxy.start(
                decide=self._decide,
                record=self._record,
                mode=mode,
                hosts=self._policy.hosts,
                private=self._policy.private,
                budget_bytes_out=self._left(mode, exit.actor.domain),
            )
        return self._proxies[mode]

    def _left(self, mode: Mode, domain: str) -> int:
        """What may leave through a new proxy process in all: an earlier one's use counts."""
        charged = self._enforcement.ledger.held(domain).charged
        if mode is Mode.TUNNEL:
            return max(0, self._policy.tunnel_bytes_out - charged.get(TUNNEL, 0))
        return max(0, self._policy.bytes_out - charged.get(STRUCTURED, 0))

    def _decide(self, wanted: EgressRequest) -> EgressAnswer:
        exit = self._exits[wanted.call]
        account = STRUCTURED if wanted.structured else TUNNEL
        entry = Entry(
            allowed=Kind.EGRESS_ALLOWED,
            denied=Kind.EGRESS_DENIED,
            call=wanted.call,
            what=f"{wanted.method} {wanted.host}",
            account=account,
            charge=wanted.bytes_out,
            body={"host": wanted.host, "port": wanted.port, "method": wanted.method},
        )
        # Paid before it is decided, so that others cannot spend the same bytes meanwhile.
        paid = exit.outgoing.pay(wanted)
        left = exit.outgoing.left
        own = None if left is None else left + paid * wanted.bytes_out
        reservation = self._enforcement.reserve(
            exit.actor, entry, lambda held: self._request(exit, wanted, held, own)
        )
        decided = reservation.request
        if not reservation.decision.allowed:
            if paid:
                exit.outgoing.give_back(wanted)
            return EgressAnswer(allow=False, reason_text=explain(decided, reservation.decision))
        if not paid:
            return EgressAnswer(allow=False, reason_text=_UNPAID)
        assert decided.egress is not None
        budget = _budget(exit, wanted, decided.egress)
        return EgressAnswer(allow=True, budget_bytes_out=budget, max_bytes_in=MAX_BYTES_IN)

    def _request(
        self, exit: Exit, wanted: EgressRequest, held: Held, own: int | None
    ) -> AccessRequest:
        limit = self._policy.bytes_out if wanted.structured else self._policy.tunnel_bytes_out
        account = STRUCTURED if wanted.structured else TUNNEL
        left = limit - held.charged.get(account, 0)
        facts = EgressFacts(
            host=wanted.host,
            port=wanted.port,
            scheme=wanted.scheme,
            method=wanted.method,
            structured=wanted.structured,
            listed=exit.destinations.listed(wanted),
            bytes_out=wanted.bytes_out,
            budget_left=max(0, left if own is None else min(left, own)),
            limited=exit.destinations.limited,
        )
        return request(exit.actor, held, Act.EGRESS, frozenset({Capability.INTERNET}), egress=facts)

    def _record(self, outcome: EgressOutcome) -> None:
        # A name we never gave raises, and the proxy that used it is ended.
        exit = self._exits[outcome.call]
        tunnel = outcome.scheme == TUNNEL_SCHEME
        if tunnel:
            exit.outgoing.closed(outcome)
        self._enforcement.record(
            exit.actor,
            Event(
                kind=Kind.EGRESS_CLOSED,
                call=outcome.call,
                what=f"{outcome.method} {outcome.host}",
                account=TUNNEL if tunnel and outcome.bytes_out else "",
                charge=outcome.bytes_out if tunnel else 0,
                body=_body(outcome),
            ),
        )


def _budget(exit: Exit, wanted: EgressRequest, facts: EgressFacts) -> int:
    """What a request or a tunnel that is allowed may send."""
    if wanted.scheme == TUNNEL_SCHEME:
        return exit.outgoing.open(wanted, facts.budget_left)
    return wanted.bytes_out if wanted.structured else facts.budget_left


def _body(outcome: EgressOutcome) -> dict[str, Any]:
    return {
        "host": outcome.host,
        "port": outcome.port,
        "method": outcome.method,
        "outcome": str(outcome.outcome),
        "status": outcome.status,
        "bytes_out": outcome.bytes_out,
        "bytes_in": outcome.bytes_in,
        "address": outcome.address,
    }
