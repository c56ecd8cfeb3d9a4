"""``trilemma test``: the Rego tests of the policy, and the lines that they reach."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trilemma.cli.escape import block
from trilemma.cli.failure import Stop

if TYPE_CHECKING:
    from trilemma.policy.testing import Report, Suite

Folder = Annotated[
    Path | None,
    typer.Argument(help="An organisation's policy. Without it, the policy that is shipped."),
]
Threshold = Annotated[
    float, typer.Option(min=0, max=100, help="Fail where tests reach fewer lines, in percent.")
]


def command(folder: Folder = None, threshold: Threshold = 0) -> None:
    """Run the Rego tests beside the rules, here and with opa where it is installed."""
    from trilemma.policy.testing import Fate, read_suite, run_suite

    suite = read_suite(folder)
    report = run_suite(suite)
    _tell(report)
    wrong = [name for name, fate in report.fates.items() if fate is not Fate.PASS]
    differing = _compared(suite, report)
    if differing:
        raise Stop(f"the engines do not agree on {', '.join(differing)}")
    if wrong:
        raise Stop(f"{len(wrong)} of {len(report.fates)} tests did not pass")
    if report.percent < threshold:
        raise Stop(f"the tests reach {report.percent:.1f} % of the lines; {threshold:g} % is asked")


def _tell(report: "Report") -> None:
    lines = [f"{fate:5} {name}" for name, fate in report.fates.items()]
    lines += [
        f"not reached: {path}: {', '.join(map(str, numbers))}"
        for path, numbers in sorted(report.missed.items())
    ]
    lines.append(f"{len(report.fates)} tests; {report.percent:.1f} % of {report.total} lines")
    typer.echo(block("\n".join(lines)))


def _compared(suite: "Suite", report: "Report") -> list[str]:
    from shutil import which

    from trilemma.policy.testing_opa import disagreements, run_opa

    opa = which("opa")
    if opa is None:
        typer.echo("opa is not on the PATH: run in process only")
        return []
    differing = disagreements(dict(report.fates), run_opa(opa, suite, which("regal")))
    if not differing:
        typer.echo("opa agrees on every test")
    return differing
