"""Random trees of agents that try everything, in any order, with crashes in between."""

import asyncio
import json
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)
from pydantic import BaseModel, ValidationError
from tests.trees.puppet import TOOLS, program
from tests.trees.world import FOLDERS, World

from trilemma.gateway.schemas import AgentSpec
from trilemma.gateway.session import LocalSession
from trilemma.gateway.teamspec import AttenuatedSpec, ChildSpec, MediatedSpec

BYTE = {"integer": {"minimum": 0, "maximum": 255}}
CAPABILITIES = ("files", "internet", "code")

pairs = st.sampled_from([["files", "internet"], ["files", "code"], ["internet", "code"], ["files"]])
programs = st.lists(st.sampled_from(TOOLS), max_size=3)
folders = st.fixed_dictionaries(
    {
        "path": st.sampled_from(FOLDERS),
        "origin": st.sampled_from(["own", "strangers"]),
        "mode": st.sampled_from(["direct", "direct", "layer", "snapshot"]),
    }
)
crossings = st.sampled_from([BYTE, BYTE, "free"])
names = st.sampled_from(["helper", "second"])
Act = str | tuple[int, list[str]]
orders = st.tuples(st.integers(0, 1), programs)
acts: st.SearchStrategy[Act] = st.sampled_from(TOOLS) | orders
MOST_SESSIONS = 3
Form = dict[str, Any]
Spec = TypeVar("Spec", bound=BaseModel)


def agent(grants: Any, workspace: Any, agents: list[Form], steps: list[str]) -> Form:
    return {
        "model": "puppet",
        "instructions": program(steps),
        "grants": grants,
        "tools": list(TOOLS),
        "workspace": workspace if grants is None or "files" in grants else None,
        "hosts": ["a.example"],
        "agents": agents,
        "limits": {"idle_seconds": None},
    }


attenuated = st.builds(
    lambda name, grants, tools, workspace: {
        "agent": name,
        "mode": "attenuated",
        "grants": grants,
        "tools": tools,
        "workspace": workspace,
    },
    names,
    st.none() | st.none() | pairs,
    st.just(list(TOOLS)) | st.lists(st.sampled_from(TOOLS), unique=True),
    st.sampled_from(["none", "none", "read", "write"]),
)
mediated = st.builds(
    lambda name, grants, workspace, steps, asks, answers: {
        "agent": name,
        "mode": "mediated",
        "spec": agent(grants, workspace, [], steps),
        "asks": asks,
        "answers": answers,
    },
    names,
    pairs,
    folders,
    programs,
    crossings,
    crossings,
)
nested = st.builds(
    lambda child, agents: {**child, "agents": agents}, attenuated, st.lists(mediated, max_size=1)
)
children = attenuated | mediated | nested
agents = st.builds(
    agent,
    st.none() | pairs,
    folders,
    st.lists(children, max_size=2, unique_by=lambda c: c["agent"]),
    programs,
)


class Trees(RuleBasedStateMachine):
    """Sessions of many domains, each the root of a tree."""

    sessions = Bundle("sessions")
    roots: ClassVar[st.SearchStrategy[Form]] = agents
    """The agents that stand at the roots; a hunt for one path has fewer of them."""
    deeds: ClassVar[Counter[str]] = Counter()
    """What was really done, in all of its worlds together."""

    @initialize()
    def begin(self) -> None:
        self.world = World(self.deeds)
        self.alive: set[str] = set()

    @precondition(lambda self: len(self.alive) < MOST_SESSIONS)
    @rule(
        target=sessions,
        form=st.runner().flatmap(lambda self: self.roots),
        hand_on=st.booleans(),
        resume=st.booleans(),
    )
    def open(self, form: Form, hand_on: bool, resume: bool) -> Any:
        spec = self._read(AgentSpec, form)
        if spec is None:
            return multiple()
        brings = self.world.results[-1] if hand_on and self.world.results else None
        layer = self.world.layers[-1] if resume and self.world.layers and spec.workspace else None
        session = self.world.do(self.world.open(spec, brings, layer))
        if session is None:
            return multiple()
        self.alive.add(session.id)
        return session

    @rule(session=sessions, acts=st.lists(acts, min_size=1, max_size=4), hand_on=st.booleans())
    def work(self, session: LocalSession, acts: list[Act], hand_on: bool) -> None:
        for act in acts:
            self._together(self._act(session, act, hand_on))

    @rule(session=sessions, form=attenuated | mediated, steps=programs)
    def delegate_to_somebody_new(self, session: LocalSession, form: Form, steps: list[str]) -> None:
        child = self._child(form)
        if child is not None and session.id in self.alive:
            self.world.do(self.world.delegate(session, child, steps, None))

    @rule(one=sessions, two=sessions, first=acts, second=acts)
    def both_at_once(self, one: LocalSession, two: LocalSession, first: Act, second: Act) -> None:
        self._together(self._act(one, first, False), self._act(two, second, False))

    @rule(session=sessions, runners=st.lists(orders, min_size=2, max_size=3))
    def race(self, session: LocalSession, runners: list[tuple[int, list[str]]]) -> None:
        known = sorted(session.standing.children)
        if known and session.id in self.alive:
            named = [(known[number % len(known)], steps) for number, steps in runners]
            self.world.do(self.world.race(session, named))

    @rule(session=sessions)
    def take_a_result(self, session: LocalSession) -> None:
        if session.id in self.alive and self.world.results:
            self.world.do(self.world.take(session, self.world.results[-1]))

    @rule(session=sessions)
    def close(self, session: LocalSession) -> None:
        if session.id in self.alive:
            self.alive.discard(session.id)
            self.world.do(session.close("done"))

    @rule(session=sessions, act=acts)
    def crash_under_a_call(self, session: LocalSession, act: Act) -> None:
        doing = self._act(session, act, False)
        if doing is not None:
            self.world.crash(doing)
            self.alive.clear()

    @invariant()
    def nobody_ever_has_three_or_more_than_was_granted(self) -> None:
        for domain in self.world.oracle.domains:
            self.world.oracle.check(domain, frozenset(map(str, self.world.pair(domain))))

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.end()

    def _act(
        self, session: LocalSession, act: Act, hand_on: bool
    ) -> Coroutine[Any, Any, None] | None:
        """A tool by its name, or a sub-agent by its number with a program for it."""
        if session.id not in self.alive:
            return None
        if isinstance(act, str):
            return self.world.tool(session, act)
        number, steps = act
        known = sorted(session.standing.children)
        if not known:
            return None
        brings = self.world.results[-1] if hand_on and self.world.results else None
        return self.world.delegate(session, known[number % len(known)], steps, brings)

    def _together(self, *acts: Coroutine[Any, Any, None] | None) -> None:
        async def all_of_them() -> None:
            await asyncio.gather(*(act for act in acts if act is not None))

        self.world.do(all_of_them())

    def _child(self, form: Form) -> ChildSpec | None:
        if form["mode"] == "mediated":
            return self._read(MediatedSpec, form)
        return self._read(AttenuatedSpec, form)

    def _read(self, kind: type[Spec], form: Form) -> Spec | None:
        """What a person wrote, if it can be an agent at all."""
        try:
            return kind.model_validate_json(json.dumps(_placed(form, self.world.root)))
        except ValidationError:
            return None


def _placed(form: Any, root: Path) -> Any:
    """With every folder where it lies."""
    if isinstance(form, list):
        return [_placed(each, root) for each in form]
    if not isinstance(form, dict):
        return form
    return {
        name: str(root / value) if name == "path" else _placed(value, root)
        for name, value in form.items()
    }
