"""What is proven of a design and what a gateway does with it agree: no run needs the latch."""

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from tests.trees.conftest import POINT, USUAL
from tests.trees.machine import BYTE, Form
from tests.trees.puppet import TOOLS, program
from tests.trees.world import BY_CAPABILITY, World

from trilemma.errors import Denied, SpecError
from trilemma.gateway.agentfile import read_agent
from trilemma.gateway.proof.exploring import explore
from trilemma.gateway.proof.gathering import Gathering
from trilemma.gateway.proof.reading import read_design
from trilemma.gateway.session import LocalSession
from trilemma.policy.operator import OperatorPolicy

NEEDS = {"read_file": "files", "write_file": "files", "http_fetch": "internet", "run_code": "code"}
POLICY = OperatorPolicy()

pairs = st.sampled_from([["files", "internet"], ["files", "code"], ["internet", "code"], ["files"]])
crossings = st.sampled_from([BYTE, "free"])


def agent(grants: Any, origin: str, tools: list[str], children: list[Form]) -> Form:
    fitting = [tool for tool in tools if grants is None or NEEDS[tool] in grants]
    folder = {"path": "work", "origin": origin, "mode": "snapshot"}
    return {
        "model": "gullible",
        "instructions": program(fitting),
        "grants": grants,
        "tools": fitting,
        "workspace": folder if grants is None or "files" in grants else None,
        "hosts": ["a.example"],
        "agents": children,
        "limits": {"idle_seconds": None},
    }


origins = st.sampled_from(["own", "own", "strangers"])
tools = st.lists(st.sampled_from(TOOLS), unique=True, max_size=3)
mediated = st.builds(
    lambda grants, tools, asks, answers: {
        "agent": "helper",
        "mode": "mediated",
        "spec": agent(grants, "own", tools, []),
        "asks": asks,
        "answers": answers,
    },
    pairs,
    tools,
    crossings,
    crossings,
)
roots = st.builds(agent, st.none() | pairs, origins, tools, st.lists(mediated, max_size=1))


async def do_everything(world: World, session: LocalSession) -> None:
    """Every tool and every sub-agent, each as often as makes a difference."""
    for _ in range(2):
        for tool in session.tools:
            if tool.name in NEEDS:
                await world.tool(session, tool.name)
        for child in session.spec.agents:
            assert child.mode == "mediated"
            assert child.spec is not None
            await world.delegate(session, child.agent, list(map(str, child.spec.tools)), None)
    await session.close("done")


def refused(form: Form) -> bool | None:
    """Whether a real gateway refused anything for its capabilities; None where it is no agent."""
    world = World(Counter())
    sound = False
    try:
        spec = read_agent(form, origin="test", base=world.root)
        try:
            session = world.do(world.gateway.open(spec, new_domain=True))
        except Denied:
            return True
        world.do(asyncio.wait_for(do_everything(world, session), 30))
        sound = True
        return bool(world.refused_for & BY_CAPABILITY)
    except SpecError:
        return None
    finally:
        world.end(sound=sound)


def breached(form: Form) -> bool:
    return bool(Gathering(_design(form)).breaches())


def _design(form: Form) -> Any:
    return read_design([read_agent(form, origin="test", base=Path())], POLICY)


seen: Counter[bool] = Counter()


@given(roots)
@USUAL
def test_what_is_proven_and_what_a_gateway_does_agree(form: Form) -> None:
    answer = refused(form)
    if answer is None:
        return
    seen[answer] += 1
    assert breached(form) is answer
    found = explore([read_agent(form, origin="test", base=Path())], POLICY, POINT)
    assert found.whole
    assert found.third is None
    assert bool(found.refusals) is answer


def test_there_were_enough_of_both() -> None:
    if not seen:
        pytest.skip("the test before did not run")
    assert seen[True] >= 20
    assert seen[False] >= 20


def test_sabotage_a_proof_that_sees_no_flows_disagrees() -> None:
    web = agent(["internet", "code"], "own", ["http_fetch"], [])
    child = {"agent": "helper", "mode": "mediated", "spec": web, "asks": "free", "answers": BYTE}
    form = agent(["files", "code"], "own", ["read_file"], [child])
    assert refused(form) is True
    assert breached(form) is True
    assert not Gathering(replace(_design(form), flows=())).breaches()
