"""What starting Python with Trilemma costs."""

import subprocess
import sys
from functools import partial

from .measure import Finding, Ratio, Sample, Target, timed
from .stage import Stage

TITLE = "Starting"
METHOD = """
New Python processes take turns: one that does nothing, `import trilemma`, one that makes an
`Agent`, and `trilemma --help`. The cost of the import is the difference of the first two.
"""
_TIMES = 30
_COMMANDS = {
    "python": ("-c", "pass"),
    "import trilemma": ("-c", "import trilemma"),
    "an Agent": ("-c", "import trilemma; trilemma.Agent(model='gullible')"),
    "trilemma --help": ("-m", "trilemma", "--help"),
}


def run(stage: Stage) -> Finding:
    """Measure."""
    times: dict[str, list[float]] = {name: [] for name in _COMMANDS}
    for _ in range(stage.times(_TIMES)):
        for name, command in _COMMANDS.items():
            times[name] += timed(partial(_python, *command), 1)
    found = {name: Sample.of_seconds(name, seconds) for name, seconds in times.items()}
    added = found["import trilemma"].p50 - found["python"].p50
    return Finding(
        tuple(found.values()),
        (Ratio.between(found["import trilemma"], found["python"]),),
        (Target("what import trilemma adds, p50 in ms", added, 150),),
    )


def _python(*command: str) -> None:
    subprocess.run([sys.executable, *command], capture_output=True, check=True)
