"""The end of a session meets calls that are on their way into a sandbox."""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

from trilemma.gateway.catalog import definitions
from trilemma.gateway.dispatch import Dispatch
from trilemma.gateway.egress import DomainEgress, Exit
from trilemma.gateway.profiles import SandboxPlan
from trilemma.gateway.schemas import AgentSpec
from trilemma.policy.capability import parse
from trilemma.sandbox.base import CallResult, Sandbox, SandboxCall
from trilemma.sandbox.limits import Limits
from trilemma.sandbox.pool import Pool
from trilemma.sandbox.spec import Mount, SandboxSpec

VIEW = Mount(Path("/view"), False, 1000, 1000)


class Box:
    """A sandbox that answers at once."""

    id = "box"
    called = 0

    def call(self, call: SandboxCall) -> CallResult:
        self.called += 1
        return CallResult("done")

    def cancel(self, call_id: str) -> None:
        pass


class SlowPool:
    """A pool whose lease is under way when the session ends, and succeeds all the same."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.go_on = threading.Event()
        self.box = Box()
        self.leased: set[Mount] = set()
        self.released = 0

    def lease(self, spec: SandboxSpec, waits: Callable[[], bool]) -> Sandbox:
        self.asked.set()
        assert self.go_on.wait(10)
        assert spec.mount is not None
        self.leased.add(spec.mount)
        return cast("Sandbox", self.box)

    def release_session(self, session: str, mounts: Iterable[Mount | None]) -> None:
        self.released += 1
        self.leased -= {mount for mount in mounts if mount is not None}
        self.go_on.set()


def dispatch(pool: Any) -> Dispatch:
    plan = SandboxPlan("d", "s", "sha256:0", "sha256:0", Limits(), VIEW, None, ())
    nothing = cast("Any", None)
    return Dispatch(
        *(cast("Pool", pool), plan, cast("DomainEgress", nothing), cast("Exit", nothing)),
        *(lambda: None, lambda: (VIEW,)),
    )


def test_what_a_call_was_still_to_get_is_given_back_with_the_rest() -> None:
    pool = SlowPool()
    session = dispatch(pool)
    (tool,) = definitions(AgentSpec(model="gullible", tools=("list_files",)), lambda _: [])
    results: list[CallResult] = []
    call = threading.Thread(
        target=lambda: results.append(session.run(tool, "call", {}, parse(["files"])))
    )
    call.start()
    assert pool.asked.wait(10)
    session.close()
    call.join()
    assert pool.leased == set()
    assert pool.released >= 2
    assert pool.box.called == 0
    assert results[0].error is not None
    assert results[0].error.code == "cancelled"


def test_a_closed_session_asks_for_no_sandbox() -> None:
    pool = SlowPool()
    pool.go_on.set()
    session = dispatch(pool)
    session.close()
    (tool,) = definitions(AgentSpec(model="gullible", tools=("list_files",)), lambda _: [])
    result = session.run(tool, "call", {}, parse(["files"]))
    assert result.error is not None
    assert not pool.asked.is_set()
