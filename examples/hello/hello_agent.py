"""The smallest agent: it answers questions about a folder. {files, code}: nothing can leave."""

import os
from pathlib import Path

from trilemma import Agent, tool


@tool(needs={"files"})
def total(path: str, column: str) -> float:
    """Add up a column of a CSV file."""
    import csv

    with open(path, newline="") as file:
        return sum(float(row[column]) for row in csv.DictReader(file))


agent = Agent(
    model=os.environ.get("TRILEMMA_MODEL", "gullible"),
    grants=["files", "code"],
    tools=["list_files", "read_file", "run_code", total],
    workspace=Path(__file__).parent / "notes",
)

QUESTION = """What does the fair cost, and what is left to do?

The built-in model 'gullible' does what these lines say; any other one can make its own plan.
CALL read_file {"path": "plan.md"}
CALL total {"path": "budget.csv", "column": "euro"}
"""

if __name__ == "__main__":
    print(agent.run(QUESTION).text)
