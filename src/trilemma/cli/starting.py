"""A starter agent, and the one question that only its owner can answer."""

import sys
from pathlib import Path
from shlex import quote

from trilemma.cli.asking import has_terminal
from trilemma.cli.contracts import settle
from trilemma.cli.failure import Stop
from trilemma.gateway.settings import Settings
from trilemma.inference.names import model_ref

_AGENT = """\
# An agent. Run it: trilemma run {name} {task}
version: 1
name: reader
model: {model}
instructions: |
  You answer questions about the files in the workspace. Read before you answer.
# Files, internet, code: pick two. Tools that need the third are not offered.
grants: [files, code]
tools: [list_files, read_file, search_files, write_file, run_code]
workspace:
  path: workspace
  origin: own
  # layer: your folder stays as it is, and changes wait for 'trilemma workspace diff'.
  mode: layer
limits:
  steps: 30
  seconds: 600
"""

_NOTES = """\
# Notes

The meeting moved from Tuesday to Thursday, 10:00, room 4.
Open: who brings the projector?
"""

_GULLIBLE_TASK = """'CALL read_file {"path": "notes.md"}'"""
_TASK = "'When is the meeting, and what is still open?'"


def start(folder: Path, model: str, contract: str) -> None:
    """Settle the contract question, then write the starter files, never over others.

    Raises:
        SpecError: the model's name means none, or the policy there is written wrong.
        Stop: a file is in the way, or nobody can be asked.
    """
    agent, notes = folder / "agent.yaml", folder / "workspace" / "notes.md"
    if agent.exists():
        raise Stop(f"{str(agent)!r} is already there; name another folder")
    ref = model_ref(model or _asked_model())
    said = settle(ref, Settings.from_environment().policy, contract)
    notes.parent.mkdir(parents=True, exist_ok=True)
    task = _GULLIBLE_TASK if ref.inside else _TASK
    agent.write_text(
        _AGENT.format(model=ref.name, name=quote(str(agent)), task=task), encoding="utf-8"
    )
    if not notes.exists():
        notes.write_text(_NOTES, encoding="utf-8")
    print(f"made {agent} and {notes}")
    if said:
        print(said)
    print(f"try: trilemma run {quote(str(agent))} {task}")


def _asked_model() -> str:
    """The model, asked for at a terminal; the one without a key where there is none."""
    if not has_terminal():
        return "gullible"
    prompt = "Which model, as provider/model? Empty: gullible, built in, needs no key. "
    print(prompt, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip() or "gullible"
