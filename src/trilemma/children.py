"""``child`` and ``mediated``: the agents that an agent may call, declared."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from trilemma.errors import SpecError

if TYPE_CHECKING:
    from trilemma.gateway.schemas import AgentSpec

_PARENTS = ("workspace", "hosts", "sandbox", "image")
"""What an attenuated sub-agent has of its parent alone."""


class Specified(Protocol):
    """An :class:`~trilemma.Agent`."""

    spec: "AgentSpec"


@dataclass(frozen=True)
class Declared:
    """A sub-agent as data, as it would stand in a file."""

    data: dict[str, Any]


def child(
    agent: str | Specified,
    description: str = "",
    *,
    instructions: str | None = None,
    model: str | None = None,
    grants: Iterable[str] | None = None,
    tools: Iterable[str] | None = None,
    workspace: Literal["write", "read", "none"] = "none",
    agents: Iterable[Declared | Specified | Mapping[str, Any]] | None = None,
    limits: Mapping[str, Any] | None = None,
    handoff: bool = False,
) -> Declared:
    """A sub-agent in its parent's domain, with a part of what its parent has.

    ``agent`` is its name, or an :class:`Agent` whose fields are taken where none is given here.
    ``tools`` are names of its parent's. What ``limits`` names is set aside from its parent's
    budget. With ``handoff`` its answer is its parent's, whose run ends with it.

    >>> child("reviewer", "Reads changes.", tools=["read_file"], workspace="read").data["agent"]
    'reviewer'

    Raises:
        SpecError: the agent has something that only a parent gives, such as a workspace.
    """
    given = {
        "instructions": instructions,
        "model": model,
        "grants": grants if grants is None or isinstance(grants, str) else sorted(grants),
        "tools": tools if tools is None or isinstance(tools, str) else list(tools),
        "agents": None if agents is None else [as_child(each) for each in agents],
        "limits": None if limits is None else dict(limits),
    }
    data = {"agent": agent} if isinstance(agent, str) else _fields(agent.spec)
    data |= {name: value for name, value in given.items() if value is not None}
    return Declared(data | {"description": description, "workspace": workspace, "handoff": handoff})


def mediated(
    agent: Specified | str | PathLike[str],
    description: str = "",
    *,
    asks: Any,
    answers: Any,
    name: str = "",
    limits: Mapping[str, Any] | None = None,
) -> Declared:
    """A sub-agent in a domain of its own: only values of the declared types cross.

    ``agent`` is an :class:`Agent`, or the file that one stands in. ``asks`` and ``answers`` are
    types as in YAML, such as ``"bool"``, ``{"enum": ["yes", "no"]}`` or
    ``{"record": {"year": {"integer": {"minimum": 1900, "maximum": 2100}}}}``.

    Raises:
        SpecError: a file needs a name.
    """
    data: dict[str, Any] = {"mode": "mediated", "description": description}
    data |= {"asks": asks, "answers": answers}
    if limits is not None:
        data["limits"] = dict(limits)
    if isinstance(agent, str | PathLike):
        if not name:
            raise SpecError(f"mediated({str(agent)!r}, ...) needs name=..., how it is called")
        return Declared(data | {"agent": name, "file": str(Path(agent).absolute())})
    return Declared(data | {"agent": name or agent.spec.name, "spec": portable(agent.spec)})


def as_child(item: Declared | Specified | Mapping[str, Any]) -> dict[str, Any]:
    """A sub-agent as data, however it was declared. An agent as it is becomes attenuated."""
    if isinstance(item, Declared):
        return item.data
    if isinstance(item, Mapping):
        return dict(item)
    if hasattr(item, "spec"):
        return child(item).data
    raise SpecError(f"{item!r} is no sub-agent; use child(...), mediated(...) or an Agent")


def portable(spec: "AgentSpec") -> dict[str, Any]:
    """An agent as data whose paths do not depend on where it stands."""
    data: dict[str, Any] = spec.model_dump(mode="json", exclude_unset=True)
    if spec.workspace is not None:
        path = spec.base / Path(spec.workspace.path).expanduser()
        data["workspace"]["path"] = str(path.absolute())
    for tool in data.get("tools", ()):
        if isinstance(tool, dict) and "module" in tool:
            tool["module"] = str((spec.base / tool["module"]).absolute())
    if "agents" in data:
        data["agents"] = [
            _portable_child(each, dumped)
            for each, dumped in zip(spec.agents, data["agents"], strict=True)
        ]
    return data


def _portable_child(child: Any, dumped: dict[str, Any]) -> dict[str, Any]:
    if child.mode == "mediated":
        return {name: value for name, value in dumped.items() if name != "file"} | {
            "spec": portable(child.spec)
        }
    below = zip(child.agents, dumped.get("agents", ()), strict=True)
    return dumped | {"agents": [_portable_child(*pair) for pair in below]}


def _fields(spec: "AgentSpec") -> dict[str, Any]:
    """What of an agent an attenuated sub-agent can have."""
    for name in _PARENTS:
        if getattr(spec, name) != type(spec).model_fields[name].default:
            raise SpecError(
                f"agent {spec.name!r} has {name!r} of its own, and an attenuated sub-agent has its "
                "parent's; leave it out (workspace='read' or 'write' of child() gives it the "
                "parent's folder), or declare it with mediated()"
            )
    data = portable(spec)
    kept = ("instructions", "model", "grants", "limits", "agents")
    fields = {name: data[name] for name in kept if name in data}
    return {"agent": spec.name, "tools": [_tool_name(tool) for tool in data.get("tools", ())]} | (
        fields
    )


def _tool_name(tool: Any) -> Any:
    if isinstance(tool, str):
        return tool
    if "module" in tool:
        raise SpecError(
            f"which tools of {tool['module']!r} the sub-agent may call is not said; name them: "
            "child(..., tools=[...])"
        )
    return tool.get("name") or tool.get("command")
