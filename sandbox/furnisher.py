"""What a blank becomes: the sandbox that somebody asked for, with their workspace in it."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from trilemma.errors import SandboxLost

from .base import Sandbox, SandboxBackend
from .blanks import failed
from .spec import SandboxSpec
from .turns import fulfil

_WORKERS = 8


class Furnisher:
    """Shows workspaces to blanks, beside the making of sandboxes, which takes far longer."""

    def __init__(self, backend: SandboxBackend, give_up: Callable[[Future[Sandbox]], None]) -> None:
        """``give_up`` takes blanks that nobody wants any more."""
        self._backend = backend
        self._give_up = give_up
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="trilemma-show")

    def furnish(self, blank: Future[Sandbox], key: SandboxSpec) -> Future[Sandbox]:
        """The sandbox for ``key`` once the blank is there; until then it can be cancelled."""
        promised: Future[Sandbox] = Future()

        def furnish() -> None:
            if not fulfil(promised, lambda: self._furnished(blank, key)):
                self._give_up(blank)

        blank.add_done_callback(lambda _: self._begin(furnish))
        return promised

    def close(self) -> None:
        """Finish what is under way."""
        self._workers.shutdown(wait=True)

    def _begin(self, furnish: Callable[[], None]) -> None:
        self._workers.submit(furnish)

    def _furnished(self, blank: Future[Sandbox], key: SandboxSpec) -> Sandbox:
        if not failed(blank):
            sandbox = blank.result()
            if key.mount is None:
                return sandbox
            # The blank died while it stood there: that is no reason to refuse.
            with suppress(SandboxLost):
                sandbox.show(key.mount)
                return sandbox
        return self._backend.create(key)
