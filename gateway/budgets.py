"""From what specs say about limits to purses."""

from dataclasses import fields

from ..subagents.budget import Purse
from ..subagents.limits import UNLIMITED, RunLimits
from ..subagents.progress import Progress
from .schemas import AgentSpec
from .specparts import ChildLimitsSpec, RunLimitsSpec

_SPENT = {limit.name for limit in fields(RunLimits)}


def first_purse(spec: AgentSpec, begun: Progress | None = None) -> Purse:
    """The purse of an agent that nobody called, less what the run has used that it goes on with."""
    spent = begun.spent if begun else None
    purse = Purse(_limits(spec.limits), owner=spec.name, spent=spent)
    if begun is not None and purse.deadline is not None:
        purse.deadline -= begun.seconds
    return purse


def child_purse(
    parent: Purse, name: str, limits: ChildLimitsSpec | None, own: RunLimitsSpec | None = None
) -> Purse:
    """A child's purse. What ``limits`` names is set aside; ``own`` narrows without setting aside.

    Raises:
        LimitReached: the parent has less left than ``limits`` names.
        Cancelled: the parent has ended.
    """
    return parent.carve(_limits(limits), _limits(own), owner=name)


def _limits(spec: ChildLimitsSpec | None) -> RunLimits:
    return UNLIMITED if spec is None else RunLimits(**spec.model_dump(include=_SPENT))
