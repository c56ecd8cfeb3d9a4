"""The pool: sandboxes that are ready before they are needed, each for one domain only."""

import threading
from collections.abc import Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import replace

from trilemma.errors import SandboxError

from .base import Sandbox, SandboxBackend
from .spec import Egress, Mount, SandboxSpec

_WORKERS = 4
_CLOSED = "the pool of sandboxes is closed"


class Pool:
    """Leases sandboxes. A sandbox that a domain has had is destroyed, never given to another.

    Sandboxes without a workspace are all alike until somebody uses one, so a few of each kind
    that was asked for stand ready (*blanks*). Safe to use from several threads.
    """

    def __init__(self, backend: SandboxBackend, *, blanks: int = 1, ceiling: int = 4) -> None:
        """Hold ``blanks`` of each kind ready, ``ceiling`` in all; the oldest kind gives way."""
        self._backend = backend
        self._blanks = blanks
        self._ceiling = ceiling
        self._lock = threading.Lock()
        self._leased: dict[SandboxSpec, Future[Sandbox]] = {}
        self._ready: dict[SandboxSpec, list[Future[Sandbox]]] = {}
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="trilemma-pool")
        self._closed = False

    def lease(self, spec: SandboxSpec) -> Sandbox:
        """The domain's sandbox for ``spec``: the one it has, a blank one, or a new one.

        A sandbox that was lost is replaced. Two threads that ask for the same get the same.

        Raises:
            SandboxError: as :meth:`SandboxBackend.create`, or the pool is closed.

        """
        key = _key(spec)
        while True:
            with self._lock:
                future = self._leased.get(key) or self._begin(key)
            try:
                sandbox = future.result()
            except CancelledError:
                raise SandboxError(_CLOSED) from None
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
        with self._lock:
            if not self._closed and _key(spec) not in self._leased:
                self._begin(_key(spec))

    def stock(self, spec: SandboxSpec) -> None:
        """Begin to make blanks of this kind, for whichever domain comes first."""
        with self._lock:
            if not self._closed and spec.mount is None:
                self._refill(_blank(spec))

    def release_domain(self, domain: str) -> None:
        """Destroy every sandbox of a domain, and wait until they are gone."""
        with self._lock:
            keys = [key for key in self._leased if key.domain == domain]
            futures = [self._leased.pop(key) for key in keys]
        _close_all(futures)

    def release_session(self, session: str, mounts: Iterable[Mount | None]) -> None:
        """Destroy the sandboxes that no other session can use: its tunnels, and its folders'."""
        own = {mount for mount in mounts if mount is not None}
        with self._lock:
            keys = [key for key in self._leased if key.session == session or key.mount in own]
            futures = [self._leased.pop(key) for key in keys]
        _close_all(futures)

    def close(self) -> None:
        """Destroy everything. Never raises; twice is fine."""
        with self._lock:
            self._closed = True
            futures = list(self._leased.values())
            futures += [future for ready in self._ready.values() for future in ready]
            self._leased.clear()
            self._ready.clear()
        self._workers.shutdown(wait=True, cancel_futures=True)
        _close_all(futures)

    def _begin(self, key: SandboxSpec) -> Future[Sandbox]:
        if self._closed:
            raise SandboxError(_CLOSED)
        future = (self._take(_blank(key)) if key.mount is None else None) or self._create(key)
        self._leased[key] = future
        if key.mount is None:
            self._refill(_blank(key))
        return future

    def _take(self, kind: SandboxSpec) -> Future[Sandbox] | None:
        """A blank that is there or coming."""
        ready = self._ready.get(kind, [])
        while ready:
            if not _failed(candidate := ready.pop(0)):
                return candidate
        return None

    def _refill(self, kind: SandboxSpec) -> None:
        if self._blanks == 0:
            return
        ready = self._ready.pop(kind, [])
        self._ready[kind] = ready  # Last in order: the kind that was asked for most recently.
        ready += [self._create(kind) for _ in range(self._blanks - len(ready))]
        while sum(map(len, self._ready.values())) > self._ceiling:
            oldest = next(kind for kind, futures in self._ready.items() if futures)
            self._workers.submit(_close_when_made, self._ready[oldest].pop(0))

    def _create(self, spec: SandboxSpec) -> Future[Sandbox]:
        return self._workers.submit(self._backend.create, spec)

    def _forget(self, key: SandboxSpec, future: Future[Sandbox]) -> None:
        with self._lock:
            if self._leased.get(key) is future:
                del self._leased[key]


def _key(spec: SandboxSpec) -> SandboxSpec:
    """Sessions of one domain share: data flows freely between them anyway.

    Tunnels are not shared: what may leave through one is decided by its session's list of hosts.
    """
    return spec if spec.egress is Egress.TUNNEL else replace(spec, session="")


def _blank(spec: SandboxSpec) -> SandboxSpec:
    return replace(spec, domain="", session="")


def _failed(future: Future[Sandbox]) -> bool:
    if not future.done():
        return False
    return future.cancelled() or future.exception() is not None or future.result().lost


def _close_all(futures: Iterable[Future[Sandbox]]) -> None:
    """Close in parallel: the Engine takes its time for each."""
    threads = [threading.Thread(target=_close_when_made, args=(f,)) for f in futures]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _close_when_made(future: Future[Sandbox]) -> None:
    try:
        sandbox = future.result()
    except BaseException:  # Never made, so there is nothing to close.
        return
    sandbox.close()
