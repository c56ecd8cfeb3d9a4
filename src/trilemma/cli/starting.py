"""A starter agent, and the one question that only its owner can answer."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from trilemma.cli.asking import confirmed
from trilemma.cli.failure import Stop
from trilemma.gateway.settings import Settings
from trilemma.inference.model import ModelRef
from trilemma.inference.names import model_ref
from trilemma.policy.operator import OperatorPolicy, load_operator_policy
from trilemma.policy.yamltext import read_yaml_file, validate

_AGENT = """\
# An agent. Run it: trilemma run {name} "{task}"
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

_GULLIBLE_TASK = 'CALL read_file {{\\"path\\": \\"notes.md\\"}}'
_TASK = "When is the meeting, and what is still open?"


def start(folder: Path, model: str, contract: str) -> None:
    """Write the starter files, never over others, and settle the contract question.

    Raises:
        SpecError: the model's name means none, or the policy there is written wrong.
        Stop: a file is in the way.
    """
    ref = model_ref(model or _asked_model())
    settings = Settings.from_environment()
    policy = load_operator_policy(settings.policy, missing_ok=True)
    agent = folder / "agent.yaml"
    if agent.exists():
        raise Stop(f"{str(agent)!r} is already there; name another folder")
    folder.joinpath("workspace").mkdir(parents=True, exist_ok=True)
    task = _GULLIBLE_TASK.format() if ref.inside else _TASK
    agent.write_text(_AGENT.format(model=ref.name, name=agent, task=task), encoding="utf-8")
    notes = folder / "workspace" / "notes.md"
    if not notes.exists():
        notes.write_text(_NOTES, encoding="utf-8")
    print(f"made {agent} and {notes}")
    if not ref.inside and ref.provider not in policy.providers.under_contract:
        _settle(ref, settings.policy, contract)
    print(f'try: trilemma run {agent} "{task}"')


def _asked_model() -> str:
    """The model, asked for at a terminal; the one without a key where there is none."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return "gullible"
    prompt = "Which model, as provider/model? Empty: gullible, built in, needs no key. "
    print(prompt, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip() or "gullible"


def _settle(ref: ModelRef, policy: Path, contract: str) -> None:
    """Whether the provider may see files: the owner's word, written down where they agree."""
    provider = ref.provider
    if contract == "ask":
        print(
            f"{ref.name} runs at {provider}, outside. An agent with files but without internet "
            "may only use it if a contract lets that provider see your files.",
            file=sys.stderr,
        )
        question = f"Is {provider} under such a contract? Then it is written to {policy}."
        contract = "yes" if confirmed(question, without="--contract yes or --contract no") else "no"
    if contract == "yes":
        add_contract(policy, provider)
        print(f"{policy}: {provider} is under contract")
    else:
        print(
            f"{provider} is not under contract: the agent above will be refused. Give it "
            f"grants: [files, internet], or add to {policy}:\n"
            f"providers:\n  under_contract: [{provider}]"
        )


def add_contract(path: Path, provider: str) -> None:
    """Put a provider into the operator's policy; what stood there stays, comments apart.

    Raises:
        SpecError: the policy is written wrong; it is not touched.
        Stop: it cannot be written.
    """
    data = _written(path)
    providers = {**data.get("providers", {})}
    names = [*providers.get("under_contract", ()), provider]
    providers["under_contract"] = list(dict.fromkeys(names))
    data = {"version": 1, **data, "providers": providers}
    validate(OperatorPolicy, data, str(path))
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    fresh = path.with_suffix(".new")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def _written(path: Path) -> Mapping[str, Any]:
    if not path.exists():
        return {}
    data = read_yaml_file(path)
    validate(OperatorPolicy, data, str(path))
    return dict(data)
