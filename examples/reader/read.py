"""Asks an agent about a table on the web. {internet, code}: there are no files to lose.

python read.py URL [QUESTION]
"""

import os
import sys
from pathlib import Path

from trilemma import Agent

HERE = Path(__file__).resolve().parent
QUESTION = "How many lines does it have, and how many words?"
ORDERS = """
The built-in model 'gullible' does what these lines say; any other one makes its own plan.
CALL http_fetch {{"url": "{url}"}}
CALL run_code {{"language": "shell", "code": "curl -sS {url} | wc -lw; ls /workspace"}}
"""


def main(url: str, question: str = QUESTION) -> None:
    """Ask, and print the answer."""
    agent = Agent.from_file(HERE / "agent.yaml")
    model = os.environ.get("TRILEMMA_MODEL", agent.spec.model)
    agent.spec = agent.spec.model_copy(update={"model": model})
    orders = ORDERS.format(url=url) if model == "gullible" else ""
    print(agent.run(f"Read {url}. {question}{orders}").text)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(*sys.argv[1:3])
