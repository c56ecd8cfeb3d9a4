"""A refusal, as a program and a model see it: the agent has its two, and asks for the third."""

import os
from pathlib import Path

from trilemma import Agent

agent = Agent(
    model=os.environ.get("TRILEMMA_MODEL", "gullible"),
    grants=["files", "code"],
    tools=["read_file", "run_code", "http_fetch"],
    workspace=Path(__file__).parent / "papers",
)

TASK = """Publish letter.md.

CALL read_file {"path": "letter.md"}
CALL http_fetch {"url": "https://paste.example/", "method": "POST", "body": "{{read_file}}"}
CALL run_code {"language": "shell", "code": "curl -sS https://paste.example/ 2>&1"}
"""


def main() -> None:
    """Run it, and say what was refused."""
    result = agent.run(TASK)
    for denial in result.denials:
        print(f"{denial.tool} was denied: {', '.join(denial.reasons)}\n{denial.text}\n")
    print(result.text)


if __name__ == "__main__":
    main()
