"""The bad teams of the examples, run by a real gateway: it refuses them too, and says why.

Without the rule, and only then, three really come together.
"""

import asyncio
import shutil
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from tests.trees.puppet import program
from tests.trees.world import BY_CAPABILITY, World

from trilemma.errors import Denied, WorkspaceError
from trilemma.gateway import local
from trilemma.gateway.ledger import rules, store
from trilemma.gateway.proof.reading import read_team
from trilemma.gateway.schemas import AgentSpec
from trilemma.gateway.session import LocalSession
from trilemma.gateway.teamspec import AttenuatedSpec, ChildSpec
from trilemma.policy import decide
from trilemma.policy.decide import DecisionPoint
from trilemma.policy.engine import EngineAnswer
from trilemma.subagents.crossing.scalars import Free

BAD = Path(__file__).parents[2] / "examples" / "policies" / "bad"
TEAMS = [
    "answer-is-run.yaml",
    "chain-of-three.yaml",
    "free-text-in-a-record.yaml",
    "no-grants-and-every-tool.yaml",
    "notes-as-memory",
    "shared-folder",
    "siblings-through-their-parent.yaml",
    "strangers-folder-with-code.yaml",
    "sub-agent-on-the-same-folder.yaml",
    "task-carries-files.yaml",
]
FREE = Free()


class AllowAll:
    """A policy engine that says yes."""

    digest = "sha256:" + "0" * 64

    def evaluate(self, facts: object) -> EngineAnswer:
        return EngineAnswer(True, False, ())


def without_the_rule(patch: pytest.MonkeyPatch) -> None:
    """Neither policy nor code holds anybody to anything."""
    patch.setattr(local, "decision_point", lambda policy: DecisionPoint(AllowAll()))
    patch.setattr(decide, "hard_rule", lambda request: frozenset())
    for module in (store, rules):
        patch.setattr(module, "violation", lambda *_: None)


def team(world: World, name: str) -> list[AgentSpec]:
    """The agents of an example, with their folders; what strangers wrote lies in theirs."""
    place = world.root / "team"
    place.mkdir()
    for file in [BAD / name] if name.endswith(".yaml") else (BAD / name).glob("*.yaml"):
        shutil.copy(file, place)
    for folder in ("ledger", "shared", "notes", "fork"):
        (place / folder).mkdir()
    (place / "fork" / world.oracle.stranger().strip("<>")).touch()
    return read_team(place)


def works(agent: AgentSpec | AttenuatedSpec) -> list[str]:
    """What an agent has to call: what needs least first."""
    return [*reversed([str(tool) for tool in agent.tools]), *(each.agent for each in agent.agents)]


def told(child: ChildSpec) -> ChildSpec:
    """A sub-agent that does everything it can, whatever it is asked."""
    if isinstance(child, AttenuatedSpec):
        return child
    assert child.spec is not None
    agents = tuple(map(told, child.spec.agents))
    changes = {"instructions": program(works(child.spec)), "agents": agents}
    return child.model_copy(update={"spec": child.spec.model_copy(update=changes)})


async def work(world: World, session: LocalSession) -> None:
    """Everything that the agent can do, twice."""
    free = {c.agent: c for c in session.spec.agents if c.mode == "mediated" and c.asks == FREE}
    for _ in range(2):
        for tool in reversed([tool for tool in session.tools if tool.name not in free]):
            await world.tool(session, tool.name)
        for name, child in free.items():
            assert child.mode == "mediated"
            assert child.spec is not None
            await world.delegate(session, name, works(child.spec), None)


def run(world: World, specs: list[AgentSpec]) -> None:
    """Each agent in a session of its own, one after another, and once more."""
    for spec in [*specs, *specs]:
        agents = tuple(map(told, spec.agents))
        said = spec.model_copy(update={"instructions": program([]), "agents": agents})
        with suppress(Denied, WorkspaceError):
            session = world.do(world.gateway.open(said, new_domain=True))
            world.do(asyncio.wait_for(work(world, session), 30))
            world.do(session.close("done"))


def most(world: World) -> int:
    """How many capabilities really came together in one domain."""
    return max((len(world.oracle.held(domain)) for domain in world.oracle.domains), default=0)


@pytest.mark.parametrize("name", TEAMS)
def test_a_bad_team_gets_no_third_and_is_refused(name: str) -> None:
    world = World(Counter())
    try:
        run(world, team(world, name))
        assert most(world) <= 2
        assert BY_CAPABILITY & world.refused_for
    finally:
        world.end(sound=False)


@pytest.mark.parametrize("name", TEAMS)
def test_sabotage_without_the_rule_three_come_together(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_the_rule(monkeypatch)
    world = World(Counter())
    try:
        run(world, team(world, name))
        assert most(world) == 3
    finally:
        world.end(sound=False)
