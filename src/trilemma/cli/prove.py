"""``trilemma prove``: whether a team's design keeps to two of three without the latch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trilemma.cli.escape import block
from trilemma.cli.failure import Exit, Stop

if TYPE_CHECKING:
    from trilemma.gateway.proof.design import Design
    from trilemma.gateway.proof.exploring import Explored
    from trilemma.gateway.proof.gathering import Breach

Paths = Annotated[
    list[Path],
    typer.Argument(help="Agents' files; a folder is one team of all the agents in it."),
]
Policy = Annotated[
    Path | None,
    typer.Option(help="The operator's policy. Without it, policy.yaml in the folder, if any."),
]


States = Annotated[
    int, typer.Option(min=1, help="States of a team to look at before it counts as too large.")
]


def command(paths: Paths, policy: Policy = None, states: States = 5000) -> None:
    """Prove that no domain of a team can come to gather all three.

    Everything that the files declare is taken to happen: every tool is called, every folder is
    read, all changes are applied. Then every state that the team can reach with the latch is looked
    at, to see that the gate holds. Nothing runs, and no engine is needed.
    """
    failed = sum(not _proven(path, policy, states) for path in paths)
    if failed:
        raise Stop(f"{failed} of {len(paths)} would break the rule", Exit.REFUSED)


def _proven(path: Path, policy: Path | None, states: int) -> bool:
    from trilemma.gateway.local import decision_point
    from trilemma.gateway.proof.exploring import explore
    from trilemma.gateway.proof.gathering import Gathering
    from trilemma.gateway.proof.reading import read_design, read_team
    from trilemma.policy.capability import show
    from trilemma.policy.operator import load_operator_policy

    folder = path if path.is_dir() else path.parent
    operator = load_operator_policy(policy or folder / "policy.yaml", missing_ok=policy is None)
    agents = read_team(path)
    design = read_design(agents, operator)
    gathering = Gathering(design)
    breaches = gathering.breaches()
    gate = explore(agents, operator, decision_point(operator), states)
    if gate.third is not None:
        raise Stop(f"{path}: the gate does not hold: {gate.third} reaches three. Do not run it.")
    if breaches:
        typer.echo(block(f"{path}: {_told(design, breaches)}\n  {_gate(gate)}"))
        return False
    lines = [
        f"  {place.name}: at most {show(gathering.held(place))}"
        for place in design.places
        if place.domain
    ]
    typer.echo(block("\n".join([f"{path}: no domain gathers three.", *lines, f"  {_gate(gate)}"])))
    return True


def _gate(explored: "Explored") -> str:
    if explored.whole:
        return f"The gate holds: none of all {explored.states:,} states has a domain with three."
    return (
        f"The gate: the team is too large to look at all of its states. None of the first "
        f"{explored.states:,} has a domain with three."
    )


def _told(design: "Design", breaches: "list[Breach]") -> str:
    from trilemma.gateway.proof.mending import mend
    from trilemma.policy.capability import show
    from trilemma.policy.rule import LIMIT

    first = breaches[0]
    grants = first.at.grants or frozenset()
    three = len(first.gathers | grants) > LIMIT
    end = "all three would meet" if three else "that is more"
    granted = f" Its grants are {show(grants)}: {end}." if grants else ""
    lines = [f"{first.at.name} would gather {show(first.gathers)}.{granted}"]
    for number, step in enumerate(first.steps, 1):
        lines.append(f"  {number}. {step.what.text}: {show(step.carries)}")
    advice = mend(design, first)
    lines.append(f"  Way on: {advice or 'no single change closes it; split the team'}.")
    others = ", ".join(breach.at.name for breach in breaches[1:])
    if others:
        lines.append(f"  The same holds for: {others}.")
    return "\n".join(lines)
