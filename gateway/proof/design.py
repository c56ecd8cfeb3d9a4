"""A team as its files declare it: places, what each uses by itself, and what flows between them."""

from dataclasses import dataclass
from enum import StrEnum

from ...policy.capability import CapabilitySet


class How(StrEnum):
    """What kind of thing an act or a flow is; what would close it depends on that."""

    TOOL = "tool"
    MODEL = "model"
    OPENS = "opens"
    GRANTED = "granted"
    ORIGIN = "origin"
    READS = "reads"
    WRITES = "writes"
    APPLIED = "applied"
    ASKS = "asks"
    ANSWERS = "answers"


@dataclass(frozen=True, slots=True)
class Place:
    """A domain of agents, or a folder: where capabilities come together."""

    name: str
    """An agent's name, below whom it stands (``desk/registry``); or a folder's path."""
    domain: bool
    grants: CapabilitySet | None = None
    """What a domain was granted; None for one without grants, and for folders."""


@dataclass(frozen=True, slots=True)
class Act:
    """Something that brings capabilities to a place by itself."""

    at: Place
    brings: CapabilitySet
    how: How
    text: str


@dataclass(frozen=True, slots=True)
class Flow:
    """Whatever is at ``source`` comes to ``target`` as well: nothing bounds what crosses."""

    source: Place
    target: Place
    how: How
    text: str


@dataclass(frozen=True, slots=True)
class Design:
    """All that the files of a team declare."""

    places: tuple[Place, ...]
    acts: tuple[Act, ...]
    flows: tuple[Flow, ...]

    def without(self, step: Act | Flow) -> "Design":
        """The same design with one thing less."""
        return Design(
            self.places,
            tuple(act for act in self.acts if act != step),
            tuple(flow for flow in self.flows if flow != step),
        )
