"""What a session asks for when it opens a folder."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypedDict

from ...policy.capability import NONE, Capability, CapabilitySet


class Origin(StrEnum):
    """Who wrote a folder, as its owner declares it."""

    OWN = "own"
    """The owner's own work: it begins with no label."""
    STRANGERS = "strangers"
    """Mail, downloads, a fork: it begins with ``internet``."""

    @property
    def label(self) -> CapabilitySet:
        """The label that a folder of this origin begins with."""
        return NONE if self is Origin.OWN else frozenset({Capability.INTERNET})


class Mode(StrEnum):
    """How a folder is opened."""

    LAYER = "layer"
    """The folder stays as it is; what is written lies in a layer of its own."""
    DIRECT = "direct"
    """The folder itself is mounted for writing."""
    SNAPSHOT = "snapshot"
    """A copy of this moment, for reading: of the folder, or with a layer's changes on top."""


class By(TypedDict):
    """Whose act an event is."""

    principal: str
    domain: str
    session: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A session asks for a folder."""

    path: Path
    principal: str
    domain: str
    session: str
    grants: CapabilitySet | None
    """The pair fixed at the start; None where the first two taken latch."""
    origin: Origin | None = None
    """None where nothing is declared; that counts as the owner's own work."""
    mode: Mode = Mode.LAYER
    layer: str | None = None
    """Continue this layer instead of beginning a new one; or make the snapshot of it."""
    sources: tuple[Path, ...] = ()
    """Files that say what the agent is: never in anything that it may write to directly."""

    @property
    def by(self) -> By:
        """Who asks, as it stands in an event."""
        return By(principal=self.principal, domain=self.domain, session=self.session)
