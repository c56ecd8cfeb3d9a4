"""``python -m benchmarks``: measure, print, and write ``benchmarks/results/``."""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

from . import (
    bombs,
    crowd,
    decision,
    egress,
    fastcontext,
    hardening,
    importing,
    ledger,
    proving,
    sandbox_life,
    table,
    team,
    tool_call,
    transports,
)
from .machine import ROOT, Machine, wait_until_quiet
from .measure import Finding
from .stage import Stage, staged

BENCHMARKS: dict[str, ModuleType] = {
    "tool_call": tool_call,
    "decision": decision,
    "ledger": ledger,
    "sandbox_life": sandbox_life,
    "transports": transports,
    "hardening": hardening,
    "crowd": crowd,
    "bombs": bombs,
    "egress": egress,
    "team": team,
    "importing": importing,
    "proving": proving,
    "fastcontext": fastcontext,
}
_QUIET = 0.7


def main() -> int:
    """Run what was asked for. 1 where a target is missed and ``--check`` was given."""
    options = _options()
    if options.wait and not wait_until_quiet(_QUIET, options.wait * 60):
        print(f"the load did not fall below {_QUIET}; nothing was measured", file=sys.stderr)
        return 1
    results = []
    with staged(options.scale, options.state) as stage:
        machine = Machine.here(stage.root)
        for name in options.names or BENCHMARKS:
            print(f"{name} ...", file=sys.stderr, flush=True)
            results.append(_result(BENCHMARKS[name], stage, machine))
            _write(options.out, name, results[-1])
    print(table.render(results))
    (options.out / "README.md").write_text(table.render(_read(options.out)))
    missed = [t for result in results for t in result["targets"] if not t["met"]]
    return 1 if options.check and missed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"some of {', '.join(BENCHMARKS)}; all by default")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the usual repetitions")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results", help="for results")
    parser.add_argument("--state", type=Path, default=Path("/var/tmp"), help="a folder on a disk")
    parser.add_argument("--wait", type=float, default=0, help="minutes to wait for a quiet machine")
    parser.add_argument("--check", action="store_true", help="fail where a target is missed")
    options = parser.parse_args()
    if unknown := set(options.names) - BENCHMARKS.keys():
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    return options


def _result(benchmark: ModuleType, stage: Stage, machine: Machine) -> dict[str, Any]:
    run: Callable[[Stage], Finding] = benchmark.run
    found = run(stage)
    return {
        "title": benchmark.TITLE,
        "method": benchmark.METHOD.strip(),
        "machine": asdict(machine.afterwards()),
        "samples": [asdict(sample) for sample in found.samples],
        "ratios": [asdict(ratio) for ratio in found.ratios],
        "targets": [asdict(target) | {"met": target.met} for target in found.targets],
    }


def _write(folder: Path, name: str, result: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")


def _read(folder: Path) -> list[dict[str, Any]]:
    """Every result there is, those of earlier runs too."""
    files = [folder / f"{name}.json" for name in BENCHMARKS]
    return [json.loads(file.read_text()) for file in files if file.is_file()]


if __name__ == "__main__":
    sys.exit(main())
