"""The smallest change to a design that closes a way: one thing less, the cheapest one first."""

from .design import Act, Design, Flow, How
from .gathering import Breach, Gathering, Step

_CHEAPEST_FIRST = (
    How.ASKS,
    How.ANSWERS,
    How.READS,
    How.WRITES,
    How.APPLIED,
    How.MODEL,
    How.TOOL,
    How.GRANTED,
    How.OPENS,
    How.ORIGIN,
)


def mend(design: Design, breach: Breach) -> str | None:
    """A change that leaves this domain within the rule; None where no single one does."""
    for step in sorted(breach.steps, key=lambda step: _CHEAPEST_FIRST.index(step.what.how)):
        if _closed(design.without(step.what), breach):
            return _advice(step)
    return None


def _closed(design: Design, breach: Breach) -> bool:
    return all(left.at != breach.at for left in Gathering(design).breaches())


def _advice(step: Step) -> str:
    what = step.what
    match what:
        case Flow(how=How.ASKS):
            return f"give 'asks' of {what.target.name} a type, so that no label crosses to it"
        case Flow(how=How.ANSWERS):
            return f"give 'answers' of {what.source.name} a type, so that no label crosses back"
        case Flow(how=How.READS):
            return f"let {what.target.name} work on another folder than {what.source.name}"
        case Flow(how=How.WRITES):
            return (
                f"let {what.source.name} open {what.target.name} with mode: snapshot, for reading, "
                "or write to a folder of its own"
            )
        case Flow(how=How.APPLIED):
            return (
                f"let {what.source.name} write to a folder of its own, or take the tools from it "
                "that write"
            )
        case Act(how=How.ANSWERS):
            return "give 'answers' of that agent a type, or the agent grants"
        case Act(how=How.MODEL):
            return (
                f"let {what.at.name} call a model inside the trust boundary, or name its provider "
                "under contract in the policy"
            )
        case Act(how=How.GRANTED):
            return f"take what nothing uses from the grants of {what.at.name}"
        case Act(how=How.OPENS):
            return f"take the workspace from {what.at.name}"
        case Act(how=How.ORIGIN):
            return f"have a person look through {what.at.name} and declare it their own"
        case Flow():
            return f"do without this: {what.text}"
        case Act():
            return f"take that tool from {what.at.name}, so that it no longer {_verb(what)}"


def _verb(act: Act) -> str:
    return act.text.removeprefix(f"{act.at.name} ")
