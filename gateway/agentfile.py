"""Agents as files: YAML text or plain data in, a checked ``AgentSpec`` out. The one parser."""

import json
from pathlib import Path
from typing import Any

from trilemma.errors import SpecError

from ..policy.yamltext import Places, read_document, validate
from .schemas import AgentSpec
from .specparts import Frozen
from .teamspec import AttenuatedSpec, ChildSpec

_OURS = frozenset({"base", "file"})
"""Fields of the schema that say where an agent was found; nobody writes them."""


def load_agent(path: Path) -> AgentSpec:
    """Read an agent from a YAML file; its relative paths are read against the file's folder.

    Raises:
        SpecError: the file is missing, not strict YAML, or not an agent.
    """
    return _load(path, frozenset())


def _load(path: Path, seen: frozenset[Path]) -> AgentSpec:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SpecError(
            f"there is no agent file {str(path)!r}; 'trilemma init' makes one"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"agent file {str(path)!r} cannot be read: {error}") from None
    place = path.resolve()
    document = read_document(text, str(path))
    spec = read_agent(
        document.value,
        origin=str(path),
        base=place.parent,
        seen=seen | {place},
        places=document.places,
    )
    return spec.model_copy(update={"file": place})


def read_agent(
    data: Any,
    *,
    origin: str,
    base: Path,
    seen: frozenset[Path] = frozenset(),
    places: Places | None = None,
) -> AgentSpec:
    """Check an agent given as plain data. ``origin`` names it in error messages.

    ``seen`` are the files that lead to it, none of which may be one of its sub-agents; ``places``
    say where in its own file each part of it stands.

    Raises:
        SpecError: a field is unknown, missing or wrong.
    """
    for name in _OURS & set(data if isinstance(data, dict) else ()):
        raise SpecError(f"{origin}: {name}: unknown field; remove it")
    spec = validate(AgentSpec, _plain(data, origin), origin, places)
    return _settled(spec, base, seen)


def read_child(data: Any, *, origin: str, base: Path) -> ChildSpec:
    """Check a sub-agent given as plain data.

    Raises:
        SpecError: a field is unknown, missing or wrong.
    """
    one = validate(_OneChild, {"agent": _plain(data, origin)}, origin)
    return _child(one.agent, base, frozenset())


class _OneChild(Frozen):
    """The union of all kinds of sub-agents is no model by itself."""

    agent: ChildSpec


def _settled(spec: AgentSpec, base: Path, seen: frozenset[Path]) -> AgentSpec:
    """The agent with its relative paths settled, and with what stands in files of their own."""
    agents = _children(spec.agents, base, seen)
    return spec.model_copy(update={"base": base, "agents": agents})


def _children(
    children: tuple[ChildSpec, ...], base: Path, seen: frozenset[Path]
) -> tuple[ChildSpec, ...]:
    return tuple(_child(child, base, seen) for child in children)


def _child(child: ChildSpec, base: Path, seen: frozenset[Path]) -> ChildSpec:
    if isinstance(child, AttenuatedSpec):
        return child.model_copy(update={"agents": _children(child.agents, base, seen)})
    if child.spec is not None:
        return child.model_copy(update={"spec": _settled(child.spec, base, seen)})
    place = (base / str(child.file)).resolve()
    if place in seen:
        raise SpecError(
            f"agent file {str(place)!r} names itself as a sub-agent, directly or through others"
        )
    return child.model_copy(update={"spec": _load(place, seen), "file": None})


def _plain(data: Any, origin: str) -> Any:
    """The data as JSON would carry it, so that Python and YAML agents meet the same checks."""

    def default(value: Any) -> Any:
        if hasattr(value, "model_dump"):
            return value.model_dump(mode="json")
        if isinstance(value, (set, frozenset)):
            return sorted(value)
        raise SpecError(f"{origin}: {value!r} is not something an agent is made of")

    return json.loads(json.dumps(data, default=default))
