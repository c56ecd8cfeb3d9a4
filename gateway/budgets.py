"""From what specs say about limits to purses."""

from dataclasses import fields

from ..subagents.budget import Purse
from ..subagents.limits import UNLIMITED, RunLimits, Spent
from .schemas import AgentSpec
from .specparts import ChildLimitsSpec, RunLimitsSpec

_SPENT = {limit.name for limit in fields(RunLimits)}


def first_purse(spec: AgentSpec, spent: Spent | None = None) -> Purse:
    """The purse of an agent that nobody called; ``spent`` by the run that it goes on with."""
    return Purse(_limits(spec.limits), owner=spec.name, spent=spent)


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
