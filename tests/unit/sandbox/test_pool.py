import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from trilemma.errors import EngineMissing, SandboxError
from trilemma.policy.capability import parse
from trilemma.sandbox.base import CallResult, SandboxCall
from trilemma.sandbox.pool import Pool
from trilemma.sandbox.spec import Egress, Exec, Mount, SandboxSpec

IMAGE = "sha256:" + "0" * 64


class Box:
    """A sandbox without a container: what the pool needs to know of one."""

    def __init__(self, spec: SandboxSpec) -> None:
        self.id = f"box-{id(self)}"
        self.spec = spec
        self.exchange = Path("/nowhere")
        self.uid = 1
        self.lost = False
        self.shown: list[Mount] = []

    def call(self, call: SandboxCall) -> CallResult:
        return CallResult()

    def cancel(self, call_id: str) -> None:
        pass

    def show(self, view: Mount) -> None:
        self.shown.append(view)

    def stop(self) -> None:
        self.lost = True

    def close(self) -> None:
        self.lost = True


class Boxes:
    """A backend that counts."""

    late = False

    def __init__(self) -> None:
        self.made: list[Box] = []
        self.gate = threading.Event()
        self.gate.set()
        self.fail = False

    def create(self, spec: SandboxSpec) -> Box:
        self.gate.wait(10)
        if self.fail:
            raise EngineMissing("no engine")
        box = Box(spec)
        self.made.append(box)
        return box

    def close(self) -> None:
        pass


@pytest.fixture
def boxes() -> Boxes:
    return Boxes()


@pytest.fixture
def pool(boxes: Boxes) -> Iterator[Pool]:
    pool = Pool(boxes, blanks=1, ceiling=2)
    yield pool
    boxes.gate.set()
    pool.close()
    assert all(box.lost for box in boxes.made)


def spec(domain: str, *needs: str, mount: str = "", session: str = "") -> SandboxSpec:
    if mount:
        needs = (*needs, "files")
    return SandboxSpec(
        capabilities=parse(needs),
        exec=Exec.FREE if "code" in needs else Exec.NEVER,
        egress=Egress.STRUCTURED if "internet" in needs else Egress.NONE,
        mount=Mount(Path(mount), True, 1000, 1000) if mount else None,
        image=IMAGE,
        domain=domain,
        session=session,
    )


def test_a_domain_keeps_its_sandbox(pool: Pool) -> None:
    assert pool.lease(spec("a", "code")) is pool.lease(spec("a", "code"))


def test_sessions_of_one_domain_share(pool: Pool) -> None:
    assert pool.lease(spec("a", session="1")) is pool.lease(spec("a", session="2"))


def test_profiles_and_workspaces_do_not_share(pool: Pool) -> None:
    specs = [spec("a"), spec("a", "code"), spec("a", mount="/v/1"), spec("a", mount="/v/2")]
    assert len({pool.lease(s).id for s in specs}) == len(specs)


def test_no_sandbox_ever_serves_two_domains(pool: Pool) -> None:
    seen: dict[str, set[str]] = {}
    for domain in ("a", "b", "c", "a", "b", "d"):
        for needs in ((), ("code",), ("internet",)):
            seen.setdefault(pool.lease(spec(domain, *needs)).id, set()).add(domain)
        pool.release_domain(domain)
    assert all(len(domains) == 1 for domains in seen.values())


def test_a_released_sandbox_is_destroyed(pool: Pool) -> None:
    sandbox = pool.lease(spec("a", mount="/v"))
    other = pool.lease(spec("b", mount="/v"))
    pool.release_domain("a")
    assert sandbox.lost
    assert not other.lost
    assert pool.lease(spec("a", mount="/v")) is not sandbox


def test_a_lost_sandbox_is_replaced(pool: Pool) -> None:
    sandbox = pool.lease(spec("a"))
    sandbox.close()
    assert not pool.lease(spec("a")).lost


def test_threads_that_ask_at_once_get_one_sandbox(pool: Pool, boxes: Boxes) -> None:
    boxes.gate.clear()
    with ThreadPoolExecutor(8) as threads:
        asking = [threads.submit(pool.lease, spec("a", mount="/v")) for _ in range(8)]
        boxes.gate.set()
        assert len({future.result().id for future in asking}) == 1
    assert len(boxes.made) == 1


def test_a_prewarmed_sandbox_is_the_leased_one(pool: Pool, boxes: Boxes) -> None:
    pool.prewarm(spec("a", mount="/v"))
    pool.prewarm(spec("a", mount="/v"))
    assert pool.lease(spec("a", mount="/v")) is boxes.made[0]
    assert len(boxes.made) == 1


def test_a_blank_stands_ready_for_the_next_domain(pool: Pool, boxes: Boxes) -> None:
    pool.stock(spec("", "code"))
    first = pool.lease(spec("a", "code"))
    assert first.spec.domain == ""
    second = pool.lease(spec("b", "code"))
    assert first is not second


def test_blanks_stay_under_the_ceiling(boxes: Boxes) -> None:
    pool = Pool(boxes, blanks=1, ceiling=2)
    for needs in ((), ("code",), ("internet",), ("code", "internet")):
        pool.lease(spec("a", *needs))
    pool.close()
    assert len(boxes.made) <= 4 + 4
    assert all(box.lost for box in boxes.made)


def test_a_failure_reaches_the_lease_and_is_not_kept(pool: Pool, boxes: Boxes) -> None:
    boxes.fail = True
    pool.prewarm(spec("a", mount="/v"))
    with pytest.raises(EngineMissing, match="no engine"):
        pool.lease(spec("a", mount="/v"))
    boxes.fail = False
    assert not pool.lease(spec("a", mount="/v")).lost


def test_a_sandbox_that_was_still_coming_is_destroyed_at_release(pool: Pool, boxes: Boxes) -> None:
    boxes.gate.clear()
    pool.prewarm(spec("a", mount="/v"))
    with ThreadPoolExecutor(1) as threads:
        releasing = threads.submit(pool.release_domain, "a")
        boxes.gate.set()
        releasing.result()
    assert all(box.lost for box in boxes.made)


def test_a_closed_pool_leases_nothing(pool: Pool) -> None:
    pool.close()
    with pytest.raises(SandboxError, match="closed"):
        pool.lease(spec("a"))
    pool.prewarm(spec("a"))
    pool.close()
