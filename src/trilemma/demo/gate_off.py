"""The second half: the example's script that runs the same without Trilemma, on the copy.

Nothing here lowers a guard: the script is a program of its own that never asks the gateway.
"""

import json
import subprocess
import sys
from collections.abc import Callable

from trilemma.demo.place import Place
from trilemma.demo.servers import ADDRESS, ATTACKER, LISTED
from trilemma.demo.story import Act, Story
from trilemma.errors import TrilemmaError


def run(place: Place, image: str, show: Callable[[Act], None]) -> Story:
    """Run the script and follow what it prints.

    Raises:
        TrilemmaError: it failed.
    """
    story = Story(place.mailbox)
    script = [sys.executable, str(place.example / "gate_off.py"), str(place.copy)]
    hosts = [word for name in (LISTED, ATTACKER) for word in ("--host", f"{name}={ADDRESS}")]
    words = [*script, "--image", image, "--task", place.task, *hosts]
    log = place.root / "gate-off.log"
    with (
        log.open("w") as errors,
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        for line in process.stdout or ():
            act = _follow(story, json.loads(line))
            if act is not None:
                show(act)
    if process.returncode != 0:
        last = log.read_text().strip().splitlines()[-1:]
        raise TrilemmaError(f"the run without a gate failed: {' '.join(last)}")
    return story


def _follow(story: Story, event: dict[str, object]) -> Act | None:
    kind, id = event["event"], str(event.get("id"))
    if kind == "tool_called":
        story.called(id, str(event["name"]), str(event["arguments"]))
    elif kind == "tool_returned":
        return story.ended(id, ok=bool(event["ok"]), text=str(event["text"]))
    return None
