"""One gateway process of two: does its threads of each history at the agreed moment."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from tests.linear.recording import plan, record

from trilemma.gateway.ledger.store import Ledger


def main(path: Path, which: int) -> None:
    """For each line ``SEED START`` on standard input, one line of what was seen."""
    with Ledger.open(path, durability="normal") as ledger:
        print("ready", flush=True)
        for line in sys.stdin:
            seed, start = map(int, line.split())
            grants, threads = plan(seed)
            seen = record(ledger, grants, threads[which::2], start)
            plain = [{**asdict(each), "does": _plain(asdict(each.does))} for each in seen]
            print(json.dumps(plain), flush=True)


def _plain(act: dict[str, object]) -> dict[str, object]:
    names = act["names"]
    assert isinstance(names, frozenset)
    return {**act, "names": sorted(names)}


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
