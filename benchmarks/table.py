"""The table of results that people read, made from the JSON files alone."""

from typing import Any

_INTRODUCTION = """\
# What enforcement costs

Made by `python -m benchmarks`; do not edit. The figures are in the JSON files beside this page.
p95 and p99 are measured values; where n is below 100, p99 is the slowest.

To reproduce, on a machine that does nothing else: `make bench`.
"""

_LOSSES = """\
## What it costs that a single call does not show

* **A cold start.** Where no blank sandbox stands ready (the first session of a gateway, a burst of
  them, a gateway without root), the first call of a profile waits for a container, made and
  checked. With grants it is begun while the model still thinks about its first step.
* **Memory.** Each profile that a domain uses is a container of its own for as long as the domain
  lives: the sandbox, the runtime's shim, and one egress process for each domain that may go out.
* **Processor time.** A call forks a process and throws it away. What is prepared ahead does not
  show in the latency, but the machine works for it.
* **Throughput.** Records are written one after another. At full durability the disk's own time
  to write two pages bounds the calls per second of everything that shares a ledger.
* **Disk space.** The ledger only grows.
"""


def render(results: list[dict[str, Any]]) -> str:
    """The page."""
    parts = [_INTRODUCTION]
    for result in results:
        parts += [
            f"## {result['title']}\n",
            result["method"].strip() + "\n",
            _machine(result["machine"]) + "\n",
            _samples(result["samples"]) + "\n",
        ]
        lines = [f"* **{r['value']:.1f}x**: {r['name']}" for r in result["ratios"]]
        lines += [_target(target) for target in result["targets"]]
        if lines:
            parts.append("\n".join(lines) + "\n")
    return "\n".join([*parts, _LOSSES])


def _machine(machine: dict[str, Any]) -> str:
    return (
        f"Measured {machine['date']} at commit {machine['commit']}, "
        f"load {machine['load_before']:.2f} before "
        f"and {machine['load_after']:.2f} after: "
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
        f"Linux {machine['kernel']}, {machine['engine']}, Python {machine['python']}, "
        f"ledgers on {machine['file_system']}."
    )


def _samples(samples: list[dict[str, Any]]) -> str:
    lines = ["| | p50 | p95 | p99 | n |", "|---|---:|---:|---:|---:|"]
    for s in samples:
        values = " | ".join(f"{_number(s[q])} {s['unit']}" for q in ("p50", "p95", "p99"))
        lines.append(f"| {s['name']} | {values} | {s['n']} |")
    return "\n".join(lines)


def _target(target: dict[str, Any]) -> str:
    relation = "at least" if target["at_least"] else "at most"
    verdict = "met" if target["met"] else "**missed**"
    return (
        f"* Target: {target['name']}, {relation} {target['limit']:g}: "
        f"{_number(target['value'])}, {verdict}"
    )


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
