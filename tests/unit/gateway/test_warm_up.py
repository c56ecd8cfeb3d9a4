"""One prefill before a fan-out, and prefixes that are shared within a domain and never across."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

pytest.importorskip("litellm", reason="needs LiteLLM: pip install 'trilemma[models]'")

from benchmarks.modelserver import ModelServer, Read, model_server
from benchmarks.prefixcache import PrefixCache, Request
from benchmarks.speed import Assumed, Profile

from trilemma.errors import LimitReached
from trilemma.gateway.enforcement import Actor, Enforcement
from trilemma.gateway.identity import IdentityMint
from trilemma.gateway.ledger.events import Kind
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.local import decision_point
from trilemma.gateway.models import ModelCalls
from trilemma.gateway.warmup import FEWEST, warm_up
from trilemma.inference.engines import Engine, InsideServer
from trilemma.inference.gullible import GullibleModel
from trilemma.inference.litellm import LiteLLMModel
from trilemma.inference.messages import FunctionTool
from trilemma.inference.model import ModelRef
from trilemma.policy.operator import OperatorPolicy
from trilemma.subagents.budget import Purse
from trilemma.subagents.limits import RunLimits
from trilemma.subagents.prompt import Layout, SharedPrefix

PREFIX = SharedPrefix(
    "You look things up in a source tree. " * 40,
    [FunctionTool("search_files", "Search.", {"type": "object"})],
    "pydantic/main.py\n" * 50,
)
REF = ModelRef("cluster/tiny", "cluster", inside=True, caches=True)
AT_ONCE = 6
MINT = IdentityMint(b"a secret of a test")


@dataclass
class Together:
    """Reads requests side by side: of those that begin together none finds the others' prefix."""

    n: int
    cache: PrefixCache = field(default_factory=PrefixCache)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.all_here = threading.Barrier(self.n)

    def serve(self, request: Request, prompt: Sequence[int], answer: Sequence[int]) -> int:
        salt = request["cache_salt"]
        with self.lock:
            cached = self.cache.known(salt, prompt)
        if request.get("max_tokens") != 1:
            self.all_here.wait(timeout=20)
        with self.lock:
            self.cache.add(salt, prompt)
        return cached


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db", durability="normal") as opened:
        yield opened


def calls(ledger: Ledger, url: str, actor: Actor, mint: IdentityMint = MINT) -> ModelCalls:
    enforcement = Enforcement(ledger, decision_point(OperatorPolicy()))
    model = LiteLLMModel(REF, InsideServer(Engine.SGLANG, url))
    return ModelCalls(enforcement, actor, model, False, mint.mint(actor, tree="ses_root"))


def actor(session: str, domain: str = "dom_1") -> Actor:
    return Actor("user:ann", domain, session, None)


async def fan_out(ledger: Ledger, server: ModelServer) -> list[Read]:
    """Siblings that begin at once; how the server read them."""
    before = len(server.reads)
    openings = [Layout(PREFIX, f"You are {n}.").opening(f"Look up {n}.") for n in range(AT_ONCE)]
    siblings = [calls(ledger, server.url, actor(f"ses_{n}")) for n in range(AT_ONCE)]
    await asyncio.gather(
        *(
            sibling.call(opening, PREFIX.tools, None, Purse(RunLimits()))
            for sibling, opening in zip(siblings, openings, strict=True)
        )
    )
    return server.reads[before:]


def test_siblings_find_what_they_share_read_already(ledger: Ledger) -> None:
    async def scene(server: ModelServer) -> list[Read]:
        root = calls(ledger, server.url, actor("ses_root"))
        assert await warm_up(root, PREFIX, AT_ONCE, Purse(RunLimits()))
        return await fan_out(ledger, server)

    with model_server(Together(AT_ONCE)) as server:
        reads = asyncio.run(scene(server))
    assert min(read.cached / read.prompt for read in reads) > 0.9


def test_without_it_each_would_read_all_of_it_again(ledger: Ledger) -> None:
    """The twin."""
    with model_server(Together(AT_ONCE)) as server:
        reads = asyncio.run(fan_out(ledger, server))
    assert [read.cached for read in reads] == [0] * AT_ONCE


def test_it_is_recorded_and_paid_for_like_any_call(ledger: Ledger) -> None:
    purse = Purse(RunLimits())
    with model_server(Assumed(Profile(0, 0))) as server:
        asyncio.run(warm_up(calls(ledger, server.url, actor("ses_root")), PREFIX, 3, purse))
    kinds = [made.event.kind for made in ledger.events(session="ses_root")]
    assert kinds == [Kind.MODEL_RESERVED, Kind.MODEL_COMMITTED]
    assert purse.spent.steps == 1
    assert purse.spent.usage.input_tokens == server.reads[0].prompt > 0
    assert server.reads[0].answer == 1


def test_a_warm_up_that_fails_is_recorded_and_stops_nobody(ledger: Ledger) -> None:
    with model_server(Assumed(Profile(0, 0))) as server:
        gone = server.url
    models = calls(ledger, gone, actor("ses_root"))
    assert not asyncio.run(warm_up(models, PREFIX, 3, Purse(RunLimits())))
    reserved, committed = ledger.events(session="ses_root")
    assert reserved.event.kind is Kind.MODEL_RESERVED
    assert REF.name in committed.event.body["error"]


@pytest.mark.parametrize("why", ["too few", "no steps to spare", "keeps no prefixes"])
def test_nothing_is_read_where_it_does_not_pay(ledger: Ledger, why: str) -> None:
    siblings = FEWEST - 1 if why == "too few" else FEWEST
    purse = Purse(RunLimits(steps=FEWEST + 1 if why == "no steps to spare" else 50))
    with model_server(Assumed(Profile(0, 0))) as server:
        models = calls(ledger, server.url, actor("ses_root"))
        if why == "keeps no prefixes":
            models._model = GullibleModel()
        assert not asyncio.run(warm_up(models, PREFIX, siblings, purse))
    assert server.reads == []
    assert purse.spent.steps == 0


def test_the_last_steps_are_left_to_those_who_need_them(ledger: Ledger) -> None:
    purse = Purse(RunLimits(steps=FEWEST + 1))
    with model_server(Assumed(Profile(0, 0))) as server:
        models = calls(ledger, server.url, actor("ses_root"))
        asyncio.run(warm_up(models, PREFIX, FEWEST, purse))
    for _ in range(FEWEST + 1):
        purse.begin_step()
    with pytest.raises(LimitReached):
        purse.begin_step()


@pytest.mark.parametrize(
    "stranger",
    [actor("ses_x", domain="dom_2"), replace(actor("ses_x"), principal="user:bob")],
    ids=["another domain", "another principal"],
)
def test_nobody_else_can_tell_by_the_cache_what_was_read(ledger: Ledger, stranger: Actor) -> None:
    assert probe(ledger, MINT, stranger).cached == 0


def test_with_one_salt_for_all_a_stranger_could_tell(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin: what a stranger guesses right is answered from the cache."""
    mint = IdentityMint.mint
    same = lambda self, who, **kin: replace(mint(self, who, **kin), cache_salt="same")  # noqa: E731
    monkeypatch.setattr(IdentityMint, "mint", same)
    read = probe(ledger, MINT, actor("ses_x", domain="dom_2"))
    assert read.cached / read.prompt > 0.9


def probe(ledger: Ledger, mint: IdentityMint, stranger: Actor) -> Read:
    """Somebody sends, word for word, what a victim has sent; how the server read it."""

    async def scene(server: ModelServer) -> Read:
        for who in (actor("ses_victim"), stranger):
            models = calls(ledger, server.url, who, mint)
            await models.call(PREFIX.messages, PREFIX.tools, None, Purse(RunLimits()))
        return server.reads[-1]

    with model_server(Assumed(Profile(0, 0))) as server:
        return asyncio.run(scene(server))
