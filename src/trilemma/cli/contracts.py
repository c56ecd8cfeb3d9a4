"""Whether a model's provider may see files: its user's word, kept in the operator's policy."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from trilemma.cli.asking import confirmed
from trilemma.inference.model import ModelRef
from trilemma.policy.operator import OperatorPolicy, load_operator_policy
from trilemma.policy.yamltext import read_yaml_file, validate


def settle(ref: ModelRef, policy: Path, contract: str) -> str:
    """Find out, write it down where the answer is yes, and say what that means.

    Raises:
        SpecError: the policy there is written wrong.
        Stop: nobody can be asked.
    """
    known = load_operator_policy(policy, missing_ok=True).providers.under_contract
    provider = ref.provider
    if ref.inside or provider in known:
        return ""
    if contract == "ask":
        contract = "yes" if _asked(ref, policy) else "no"
    if contract == "yes":
        add_contract(policy, provider)
        return f"{policy}: {provider} is under contract"
    return (
        f"{provider} is not under contract, so this agent will be refused. Give it "
        f"grants: [files, internet] instead, or add to {policy}:\n"
        f"providers:\n  under_contract: [{provider}]"
    )


def add_contract(path: Path, provider: str) -> None:
    """Put a provider into the operator's policy; what stood there stays, comments apart.

    Raises:
        SpecError: the policy is written wrong; it is not touched.
    """
    data = _written(path)
    providers = {**data.get("providers", {})}
    names = [*providers.get("under_contract", ()), provider]
    providers["under_contract"] = list(dict.fromkeys(names))
    data = {"version": 1, **data, "providers": providers}
    validate(OperatorPolicy, data, str(path))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), encoding="utf-8")
    fresh.replace(path)


def _asked(ref: ModelRef, policy: Path) -> bool:
    print(
        f"{ref.name} runs at {ref.provider}, outside. An agent with files but without internet "
        "may only use it if a contract lets that provider see your files.",
        file=sys.stderr,
    )
    question = f"Is {ref.provider} under such a contract? Yes writes it to {policy}."
    return confirmed(question, without="--contract yes or --contract no")


def _written(path: Path) -> Mapping[str, Any]:
    if not path.exists():
        return {}
    data = read_yaml_file(path)
    validate(OperatorPolicy, data, str(path))
    return dict(data)
