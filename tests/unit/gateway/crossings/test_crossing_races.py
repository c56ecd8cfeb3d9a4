"""Many at once, in threads and in processes, never overdraw an account."""

import subprocess
import sys
import threading
from pathlib import Path

from tests.unit.gateway.crossings.gate import ANSWER, ASK, BOOL, crossing, ends, pass_all

from trilemma.gateway.ledger.accounts import workspace_account
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.ledger.verify import verify


def test_threads_never_spend_more_than_there_is(ledger: Ledger, path: Path) -> None:
    gate, limit = crossing(ledger, 101), 101
    barrier, passed = threading.Barrier(8), []

    def send(name: int) -> None:
        barrier.wait(timeout=30)
        passed.append(pass_all(lambda: gate.pass_down(ends("ws-1", name=str(name)), BOOL, True)))

    threads = [threading.Thread(target=send, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(passed) == limit // ASK
    assert ledger.spent(workspace_account("ws-1")) == limit // ASK * ASK
    verify(path)


ROOT = Path(__file__).parents[4]
PROCESS = """
import sys
from pathlib import Path
from tests.unit.gateway.crossings.gate import BOOL, crossing, ends, pass_all
from trilemma.gateway.ledger.store import Ledger
with Ledger.open(Path(sys.argv[1]), durability="normal") as ledger:
    gate = crossing(ledger, 101)
    print("ready", flush=True)
    sys.stdin.readline()
    print(pass_all(lambda: gate.pass_up(ends("ws-1", name=sys.argv[2]), BOOL, True)))
"""


def test_two_gateways_over_one_ledger_never_spend_more_than_there_is(path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(path), name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in "ab"
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    passed = [int(process.communicate("\n", timeout=60)[0]) for process in processes]
    assert sum(passed) == 101 // ANSWER
    verify(path)
