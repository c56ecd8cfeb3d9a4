"""The agent that a run is of, as data with a digest: a run goes on with that agent only."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from trilemma.errors import SpecError

from ..agentfile import load_agent, read_agent
from ..schemas import AgentSpec


def described(spec: AgentSpec) -> dict[str, Any]:
    """The agent as JSON, with the places that its paths are read against."""
    return {
        "spec": spec.model_dump(mode="json"),
        "base": str(spec.base.absolute()),
        "file": None if spec.file is None else str(spec.file),
    }


def digest(agent: Mapping[str, Any], tools: Iterable[str]) -> str:
    """Of the agent and of the identities of its tools, which cover their sources."""
    text = json.dumps([agent, sorted(tools)], sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def agent_of(agent: Mapping[str, Any], run: str) -> AgentSpec:
    """The agent that :func:`described` wrote; read again, where it stands in a file.

    Raises:
        SpecError: it is no agent any more, or its file says something else now.
    """
    spec = read_agent(agent["spec"], origin=f"run {run!r}", base=Path(agent["base"]))
    if agent["file"] is not None:
        spec = spec.model_copy(update={"file": Path(agent["file"])})
        require_same(agent, load_agent(Path(agent["file"])), run)
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
