"""Triages Ann's inbox with an agent that holds {files, internet}. See README.md.

python triage.py
"""

import os
import subprocess
import sys
from pathlib import Path

from trilemma import Agent

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Make the mailbox, run the agent, say what it was told and not allowed to do."""
    if not (HERE / "home").exists():
        subprocess.run([sys.executable, HERE / "make_inbox.py"], check=True, capture_output=True)
    agent = Agent.from_file(HERE / "agent.yaml")
    model = os.environ.get("TRILEMMA_MODEL", agent.spec.model)
    agent.spec = agent.spec.model_copy(update={"model": model})
    task = (HERE / "task.txt").read_text().replace("@LISTED@", "status.northwind.example")
    result = agent.run(task if model == "gullible" else task.split("\n")[0])
    print(result.text)
    for denial in result.denials:
        print(f"denied: {denial.tool}: {', '.join(denial.reasons)}")
    print(f"look at the report: trilemma workspace diff {result.layer}")


if __name__ == "__main__":
    main()
