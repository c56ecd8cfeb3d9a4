"""From what specs say about limits to purses."""

from ..subagents.budget import Purse
from ..subagents.limits import UNLIMITED, RunLimits, Spent
from .schemas import AgentSpec
from .specparts import RunLimitsSpec


def first_purse(spec: AgentSpec, spent: Spent | None = None) -> Purse:
    """The purse of an agent that nobody called; ``spent`` by the run that it goes on with."""
    return Purse(_own(spec.limits), owner=spec.name, spent=spent)


def child_purse(
    parent: Purse, name: str, limits: RunLimitsSpec | None, own: RunLimitsSpec | None = None
) -> Purse:
    """A child's purse. What ``limits`` names is set aside; ``own`` narrows without setting aside.

    Raises:
        LimitReached: the parent has less left than ``limits`` names.
        Cancelled: the parent has ended.
    """
    named = UNLIMITED
    if limits is not None:
        # The default of a limit that nobody wrote is not something that was asked for.
        named = RunLimits(**({"steps": None} | limits.model_dump(exclude_unset=True)))
    return parent.carve(named, UNLIMITED if own is None else _own(own), owner=name)


def _own(limits: RunLimitsSpec) -> RunLimits:
    return RunLimits(**limits.model_dump())
