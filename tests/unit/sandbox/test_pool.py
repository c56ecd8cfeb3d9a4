import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from trilemma.errors import EngineMissing, SandboxError, SandboxLost, SandboxRefused
from trilemma.policy.capability import parse
from trilemma.sandbox.base import CallResult, SandboxCall
from trilemma.sandbox.pool import Pool
from trilemma.sandbox.spec import LATER, Egress, Exec, Mount, SandboxSpec

IMAGE = "sha256:" + "0" * 64


class Box:
    """A sandbox without a container: what the pool needs to know of one."""

    refuse = False
    dead = False

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
        if self.refuse or self.dead:
            self.close()
            raise (SandboxLost("dead") if self.dead else SandboxRefused("a surprise"))
        self.shown.append(view)

    def stop(self) -> None:
        self.lost = True

    def close(self) -> None:
        self.lost = True


class Boxes:
    """A backend that counts."""

    late = False
    no_slots = False

    def __init__(self) -> None:
        self.made: list[Box] = []
        self.gate = threading.Event()
        self.gate.set()
        self.fail = False

    def create(self, spec: SandboxSpec) -> Box:
        self.gate.wait(10)
        if self.fail:
            raise EngineMissing("no engine")
        if self.no_slots and spec.mount is not None and spec.mount.awaited:
            raise SandboxError("the kernel refuses a slot")
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


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def test_a_workspace_is_shown_to_a_blank(pool: Pool, boxes: Boxes) -> None:
    boxes.late = True
    wanted = [spec(name, mount=f"/v/{name}") for name in "abc"]
    pool.stock(wanted[0])
    leased = [pool.lease(each) for each in wanted]
    assert len({sandbox.id for sandbox in leased}) == 3
    for box, asked in zip(leased, wanted, strict=True):
        assert isinstance(box, Box)
        if box.spec.mount is not None and box.spec.mount.awaited:
            assert box.spec == blank(asked)
            assert box.shown == [asked.mount]
        else:
            assert box.spec == asked
    assert isinstance(leased[0], Box)
    assert leased[0].shown == [wanted[0].mount]


def blank(spec: SandboxSpec) -> SandboxSpec:
    assert spec.mount is not None
    return replace(spec, domain="", session="", mount=replace(spec.mount, source=LATER))


def test_where_nothing_can_be_shown_late_it_is_made_with_its_workspace(
    pool: Pool, boxes: Boxes
) -> None:
    pool.stock(spec("", mount="/v"))
    asked = spec("a", mount="/v")
    assert pool.lease(asked).spec == asked
    boxes.late = True
    assert asked.mount is not None
    mount = replace(asked.mount, read_only=False, volume="trilemma-x")
    carried = replace(asked, domain="b", mount=mount)
    assert pool.lease(carried).spec == carried
    assert len(boxes.made) == 2


def test_blanks_of_another_owner_are_not_taken(pool: Pool, boxes: Boxes) -> None:
    boxes.late = True
    pool.stock(spec("", mount="/v"))
    assert eventually(lambda: len(boxes.made) == 1)
    asked = spec("a", mount="/v")
    assert asked.mount is not None
    other = replace(asked, mount=replace(asked.mount, uid=4000))
    assert pool.lease(other) is not boxes.made[0]


def test_a_blank_that_is_refused_is_said_and_never_used(pool: Pool, boxes: Boxes) -> None:
    boxes.late = True
    pool.stock(spec("", mount="/v"))
    assert eventually(lambda: len(boxes.made) == 1)
    boxes.made[0].refuse = True
    with pytest.raises(SandboxRefused, match="a surprise"):
        pool.lease(spec("a", mount="/v"))
    assert boxes.made[0].lost
    assert pool.lease(spec("a", mount="/v")) is not boxes.made[0]


def test_where_a_blank_cannot_be_made_the_sandbox_is_made_when_it_is_asked_for(
    pool: Pool, boxes: Boxes
) -> None:
    boxes.late = boxes.no_slots = True
    asked = spec("a", mount="/v")
    pool.stock(asked)
    assert pool.lease(asked).spec == asked


def test_a_blank_that_died_while_it_stood_there_is_replaced(pool: Pool, boxes: Boxes) -> None:
    boxes.late = True
    pool.stock(spec("", mount="/v"))
    assert eventually(lambda: len(boxes.made) == 1)
    boxes.made[0].dead = True
    asked = spec("a", mount="/v")
    assert pool.lease(asked).spec == asked


def test_a_blank_that_was_to_come_is_not_shown_a_folder_that_was_given_back(
    pool: Pool, boxes: Boxes
) -> None:
    boxes.late = True
    boxes.gate.clear()
    asked = spec("a", mount="/v")
    pool.stock(asked)
    pool.prewarm(asked)
    pool.release_session("", [asked.mount])
    boxes.gate.set()
    assert eventually(lambda: bool(boxes.made) and all(box.lost for box in boxes.made[:1]))
    pool.close()
    assert all(box.shown == [] for box in boxes.made)


def test_no_domain_gets_them_all(boxes: Boxes) -> None:
    pool = Pool(boxes, blanks=0, most=8)

    def take(domain: str) -> int:
        """How many the domain gets, if it takes what it can."""
        for number in range(9):
            try:
                pool.lease(spec(domain, mount=f"/v/{number}"))
            except SandboxError:
                return number
        return 9

    assert [take(domain) for domain in "abcd"] == [4, 2, 1, 1]
    with pytest.raises(SandboxError, match=r"8 are in use.*TRILEMMA_SANDBOXES"):
        pool.lease(spec("e"))
    pool.release_domain("a")
    assert not pool.lease(spec("e")).lost
    pool.close()


def test_whoever_is_asked_to_waits_for_room_as_long_as_asked(boxes: Boxes) -> None:
    pool, patient = Pool(boxes, blanks=0, most=2), threading.Event()
    patient.set()
    pool.lease(spec("a", mount="/v/1"))
    with ThreadPoolExecutor(2) as threads:
        second = threads.submit(pool.lease, spec("a", mount="/v/2"), patient.is_set)
        with pytest.raises(SandboxError, match="1 are in use"):
            pool.lease(spec("a", mount="/v/3"))
        assert not second.done()
        pool.release_session("", [spec("a", mount="/v/1").mount])
        assert not second.result(10).lost
        third = threads.submit(pool.lease, spec("a", mount="/v/3"), patient.is_set)
        patient.clear()
        with pytest.raises(SandboxError, match="1 are in use"):
            third.result(10)
    pool.close()


def test_blanks_give_way_to_sandboxes_that_are_used(boxes: Boxes) -> None:
    pool = Pool(boxes, blanks=1, ceiling=4, most=3)
    for domain in "abc":
        pool.lease(spec(domain))
    assert eventually(lambda: sum(not box.lost for box in boxes.made) == 3)
    with pytest.raises(SandboxError, match="3 are in use"):
        pool.lease(spec("d"))
    pool.close()


def test_what_is_going_makes_room(boxes: Boxes) -> None:
    pool = Pool(boxes, blanks=0, most=1)
    for domain in "abcdefgh":
        pool.lease(spec(domain))
        pool.release_domain(domain)
    assert len(boxes.made) == 8
    pool.close()


def test_a_domain_that_asks_for_twenty_keeps_no_other_waiting(boxes: Boxes) -> None:
    pool = Pool(boxes, blanks=0)
    boxes.gate.clear()
    with ThreadPoolExecutor(21) as threads:
        greedy = [threads.submit(pool.lease, spec("a", mount=f"/v/{n}")) for n in range(20)]
        assert eventually(lambda: len(pool._leased) == 20)
        modest = threads.submit(pool.lease, spec("b"))
        assert eventually(lambda: len(pool._leased) == 21)
        boxes.gate.set()
        made = modest.result()
        for future in greedy:
            future.result()
    # Four were being made when it asked; at each worker one more may have come before.
    assert isinstance(made, Box)
    assert boxes.made.index(made) < 9
    pool.close()


def test_nobody_waits_for_a_sandbox_to_be_removed(boxes: Boxes) -> None:
    pool = Pool(boxes, blanks=0)
    box = pool.lease(spec("a", mount="/v"))
    assert isinstance(box, Box)
    removing = threading.Event()
    box.close = lambda: removing.wait(10)  # type: ignore[method-assign, assignment]
    pool.release_domain("a")
    assert box.lost
    assert not pool.lease(spec("a", mount="/v")).lost
    removing.set()
    pool.close()
