"""A sub-agent has a part of what its parent has: whatever is asked for, at every depth."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from trilemma.errors import SpecError
from trilemma.gateway import teamspec
from trilemma.gateway.agentfile import read_agent
from trilemma.gateway.narrowing import Access, Share, excesses
from trilemma.gateway.teamspec import AttenuatedSpec
from trilemma.policy.capability import Capability

TOOLS = ("read_file", "run_code", "http_fetch")
ACCESS: tuple[Access, ...] = ("none", "read", "write")
PAIRS = st.none() | st.sets(st.sampled_from(Capability), max_size=2).map(
    lambda pair: tuple(sorted(pair))
)
CHILDREN = st.builds(
    AttenuatedSpec,
    agent=st.just("child"),
    grants=PAIRS,
    tools=st.sets(st.sampled_from(TOOLS)).map(tuple),
    workspace=st.sampled_from(ACCESS),
)
SHARES = st.builds(
    Share,
    grants=PAIRS.map(lambda pair: None if pair is None else frozenset(pair)),
    tools=st.frozensets(st.sampled_from(TOOLS)),
    workspace=st.sampled_from(ACCESS),
)


def within(part: Share, whole: Share) -> bool:
    """Whether one share is a part of another, said in another way than the code does."""
    grants = part.grants if part.grants is not None else frozenset(Capability)
    return (
        (whole.grants is None or grants <= whole.grants)
        and (part.tools or frozenset()) <= (whole.tools or frozenset())
        and ACCESS.index(part.workspace) <= ACCESS.index(whole.workspace)
    )


@given(CHILDREN, SHARES)
def test_what_is_let_through_is_a_part_and_what_is_a_part_is_let_through(
    child: AttenuatedSpec, has: Share
) -> None:
    assert (not list(excesses(child, has))) is within(has.given(child), has)


@given(st.lists(CHILDREN, max_size=5), SHARES)
def test_nobody_down_a_line_has_more_than_the_first(line: list[AttenuatedSpec], has: Share) -> None:
    here = has
    for child in line:
        if list(excesses(child, here)):
            break
        here = here.given(child)
        assert within(here, has)


@given(CHILDREN, SHARES)
def test_each_excess_names_its_field(child: AttenuatedSpec, has: Share) -> None:
    for excess in excesses(child, has):
        assert excess.field in ("grants", "tools", "workspace")
        assert "parent" in excess.text


def agent(**child: Any) -> Any:
    data = {
        "model": "gullible",
        "grants": ["files", "code"],
        "tools": ["read_file", "run_code"],
        "workspace": {"path": "."},
        "agents": [{"agent": "child"} | child],
    }
    return read_agent(data, origin="test", base=Path("."))


@pytest.mark.parametrize(
    ("child", "said"),
    [
        ({"grants": ["internet"]}, "{internet} is not among its parent's grants"),
        ({"tools": ["http_fetch"]}, "'http_fetch' is not one of its parent's tools"),
        (
            {"tools": ["read_file"], "agents": [{"agent": "inner", "tools": ["run_code"]}]},
            "'run_code' is not one of its parent's tools",
        ),
        (
            {"workspace": "read", "agents": [{"agent": "inner", "workspace": "write"}]},
            "'write', and its parent has 'read'",
        ),
        ({"agent": "read_file"}, "the name of something else here"),
        ({"agent": "answer"}, "the name of something else here"),
    ],
)
def test_a_wider_sub_agent_is_a_mistake_in_the_file(child: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=r"child|inner|read_file|answer") as refused:
        agent(**child)
    assert said in str(refused.value)


def test_sabotage_without_the_check_the_file_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teamspec, "excesses", lambda child, has: [])
    assert agent(grants=["internet"]).agents[0].granted == {Capability.INTERNET}


def test_an_empty_list_of_tools_is_none() -> None:
    child = agent(tools=[]).agents[0]
    has = Share(None, frozenset(TOOLS), "write")
    assert has.given(child).tools == frozenset()
