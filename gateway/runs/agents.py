"""The agent that a run is of, as data with a digest: a run goes on with that agent only."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from trilemma.errors import SpecError

from ..agentfile import load_agent, read_agent
from ..schemas import AgentSpec, own_domains
from ..teamspec import AttenuatedSpec, ChildSpec


def described(spec: AgentSpec) -> dict[str, Any]:
    """The agent as JSON, with where it and each agent in it lie: what paths are read against."""
    return {"spec": spec.model_dump(mode="json"), "places": [_place(each) for each in _all(spec)]}


def digest(agent: Mapping[str, Any], tools: Iterable[str]) -> str:
    """Of the agent and of the identities of its tools, which cover their sources."""
    text = json.dumps([agent, sorted(tools)], sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def agent_of(agent: Mapping[str, Any], run: str) -> AgentSpec:
    """The agent that :func:`described` wrote; compared with the files where it stands in such.

    Raises:
        SpecError: it is no agent any more, or a file of it says something else now.
    """
    read = read_agent(agent["spec"], origin=f"run {run!r}", base=Path())
    spec = _placed(read, iter(agent["places"]))
    for each in _all(spec):
        if each.file is not None:
            require_same(described(each), load_agent(each.file), run)
    return spec


def require_same(agent: Mapping[str, Any], spec: AgentSpec, run: str) -> None:
    """Refuse another agent than the one that the run is of.

    Raises:
        SpecError: it is another.
    """
    now = described(spec)
    if now == agent:
        return
    before, after = agent["spec"], now["spec"]
    changed = [name for name in sorted(after) if after[name] != before.get(name)]
    raise changed_error(run, ", ".join(changed) or "where it lies")


def changed_error(run: str, what: str) -> SpecError:
    """The agent is not what it was."""
    return SpecError(
        f"run {run!r} cannot go on: the agent has changed since ({what}); "
        "put it back as it was, or start a new run"
    )


def _all(spec: AgentSpec) -> Iterator[AgentSpec]:
    """The agent and those in it that have files and folders of their own."""
    yield spec
    for child in own_domains(spec.agents):
        yield from _all(child)


def _place(spec: AgentSpec) -> list[str | None]:
    return [str(spec.base.absolute()), None if spec.file is None else str(spec.file)]


def _placed(spec: AgentSpec, places: Iterator[list[str | None]]) -> AgentSpec:
    """The agent where it lay: ``places`` are in the order of :func:`_all`."""
    base, file = next(places)
    where = {"base": Path(str(base)), "file": None if file is None else Path(file)}
    return spec.model_copy(update={**where, "agents": _children(spec.agents, places)})


def _children(
    children: Iterable[ChildSpec], places: Iterator[list[str | None]]
) -> tuple[ChildSpec, ...]:
    return tuple(_child(child, places) for child in children)


def _child(child: ChildSpec, places: Iterator[list[str | None]]) -> ChildSpec:
    if isinstance(child, AttenuatedSpec):
        return child.model_copy(update={"agents": _children(child.agents, places)})
    if child.spec is None:
        return child
    return child.model_copy(update={"spec": _placed(child.spec, places)})
