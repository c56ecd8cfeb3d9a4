"""The pool: sandboxes that are ready before they are needed, each for one domain only."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future, wait
from dataclasses import replace
from functools import partial

from trilemma.errors import SandboxError

from .base import Sandbox, SandboxBackend
from .blanks import Blank, Blanks
from .furnisher import Furnisher
from .leaving import Leaving
from .spec import LATER, Egress, Mount, SandboxSpec
from .turns import Turns

_MAKERS = 4
_LOOK = 0.1
"""Seconds after which whoever waits for room looks whether it still should."""
_CLOSED = "the pool of sandboxes is closed"
_ENDED = "the session ended while its sandbox was being made"


class Pool:
    """Leases sandboxes. A sandbox that a domain has had is destroyed, never given to another.

    Sandboxes of one profile are all alike until somebody uses one, so a few of each kind that was
    asked for stand ready (:mod:`.blanks`); a workspace is shown to one when it is leased. Where
    the backend cannot do that, a sandbox with a workspace is made when it is asked for.

    When sandboxes are scarce, a domain gets another one only while more are free than it has: who
    has none gets the last, and nobody gets them all. Safe to use from several threads.
    """

    def __init__(
        self, backend: SandboxBackend, *, blanks: int = 1, ceiling: int = 4, most: int = 128
    ) -> None:
        """Hold ``blanks`` of each kind ready, ``ceiling`` in all, and ``most`` sandboxes at all."""
        self._backend = backend
        self._most = most
        self._changed = threading.Condition()
        self._leased: dict[SandboxSpec, Future[Sandbox]] = {}
        self._makers = Turns(_MAKERS, "trilemma-pool")
        self._blanks = Blanks(backend.create, self._makers, each=blanks, most=ceiling)
        self._furnisher = Furnisher(backend, self._give_up)
        self._leaving = Leaving(self._changed)
        self._closed = False

    def lease(self, spec: SandboxSpec, waits: Callable[[], bool] = lambda: False) -> Sandbox:
        """The domain's sandbox for ``spec``: the one it has, a blank one, or a new one.

        A sandbox that was lost is replaced. Two threads that ask for the same get the same. Where
        there is no room it is refused, or waited for as long as ``waits`` says so.

        Raises:
            SandboxError: as :meth:`SandboxBackend.create`, there are too many, or the pool or the
                session is closed.

        """
        key = _key(spec)
        while True:
            with self._changed:
                # What is going makes room in a moment.
                while key not in self._leased and not self._room(key.domain):
                    if self._closed or not (self._leaving or waits()):
                        break
                    self._changed.wait(_LOOK)
                future = self._leased.get(key) or self._begin(key)
            try:
                sandbox = future.result()
            except CancelledError:
                raise SandboxError(_CLOSED if self._closed else _ENDED) from None
            except BaseException:
                # An interrupted wait forgets nothing: what is still being made has to be closed.
                if future.done():
                    self._forget(key, future)
                raise
            if not sandbox.lost:
                return sandbox
            self._forget(key, future)
            sandbox.close()

    def prewarm(self, spec: SandboxSpec) -> None:
        """Begin to make the sandbox in the background. A failure shows at the lease."""
        key = _key(spec)
        with self._changed:
            if not self._closed and key not in self._leased and self._room(key.domain):
                self._begin(key)

    def stock(self, spec: SandboxSpec) -> None:
        """Begin to make blanks of this kind, for whichever domain comes first."""
        with self._changed:
            if not self._closed:
                self._refill(self._kind(spec))

    def release_domain(self, domain: str) -> None:
        """End every sandbox of a domain: nothing runs in them any more afterwards."""
        self._release(lambda key: key.domain == domain)

    def release_session(self, session: str, mounts: Iterable[Mount | None]) -> None:
        """End the sandboxes that no other session can use: its tunnels, and its folders'."""
        own = {mount for mount in mounts if mount is not None}
        self._release(lambda key: key.session == session or key.mount in own)

    def rest(self) -> None:
        """Wait until the blanks are made and what was given back is gone."""
        with self._changed:
            coming = self._blanks.coming()
        wait(coming)
        with self._changed:
            self._changed.wait_for(lambda: not self._leaving)

    def close(self) -> None:
        """Destroy everything, and wait until it is gone. Never raises; twice is fine."""
        with self._changed:
            self._closed = True
            self._drop(self._blanks.drop_all())
        self._release(lambda key: True)
        self._makers.close()
        self._furnisher.close()
        self._leaving.close()

    def _begin(self, key: SandboxSpec) -> Future[Sandbox]:
        if self._closed:
            raise SandboxError(_CLOSED)
        if not self._room(key.domain):
            raise SandboxError(self._full(key.domain))
        kind = self._kind(key)
        blank = None if kind is None else self._blanks.take(kind)
        if blank is not None:
            future = self._furnisher.furnish(blank.future, key)
        else:
            future = self._makers.submit(key.domain, partial(self._backend.create, key))
        self._leased[key] = future
        self._drop(self._blanks.drop() for _ in range(min(-self._free(), len(self._blanks))))
        self._refill(kind)
        return future

    def _kind(self, key: SandboxSpec) -> SandboxSpec | None:
        """What a blank for ``key`` is; None where it cannot be made before it is asked for."""
        mount = key.mount
        if mount is not None:
            if not self._backend.late or mount.volume:
                return None
            mount = replace(mount, source=LATER)
        return replace(key, domain="", session="", mount=mount)

    def _refill(self, kind: SandboxSpec | None) -> None:
        if kind is not None:
            self._drop(self._blanks.refill(kind, self._free()))

    def _free(self) -> int:
        """How many more sandboxes there may be; negative where blanks have to go."""
        return self._most - len(self._leased) - len(self._leaving) - len(self._blanks)

    def _room(self, domain: str) -> bool:
        return self._free() + len(self._blanks) > self._held(domain)

    def _held(self, domain: str) -> int:
        return sum(key.domain == domain for key in self._leased)

    def _full(self, domain: str) -> str:
        return (
            f"this gateway may run {self._most} sandboxes, {len(self._leased)} are in use, and "
            f"{self._held(domain)} of those by this domain, which gets no more while so few are "
            "free; end sessions that are done, or raise TRILEMMA_SANDBOXES"
        )

    def _release(self, which: Callable[[SandboxSpec], bool]) -> None:
        with self._changed:
            keys = [key for key in self._leased if which(key)]
            futures = {key: self._leased.pop(key) for key in keys}
            self._leaving.add(len(futures))
        for key, future in futures.items():
            # What shows a workspace must be out of use when this returns, even if it is only
            # being made.
            self._leaving.end(future, wait=key.mount is not None)

    def _drop(self, blanks: Iterable[Blank]) -> None:
        for blank in blanks:
            self._give_up(blank.future)

    def _give_up(self, unused: Future[Sandbox]) -> None:
        with self._changed:
            self._leaving.add(1)
        self._leaving.remove(unused)

    def _forget(self, key: SandboxSpec, future: Future[Sandbox]) -> None:
        with self._changed:
            if self._leased.get(key) is future:
                del self._leased[key]


def _key(spec: SandboxSpec) -> SandboxSpec:
    """Sessions of one domain share: data flows freely between them anyway.

    Tunnels are not shared: what may leave through one is decided by its session's list of hosts.
    """
    return spec if spec.egress is Egress.TUNNEL else replace(spec, session="")
