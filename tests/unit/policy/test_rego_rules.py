"""Runs the Rego tests that lie beside the rules, in process; they reach every line."""

import json
import re
from pathlib import Path

import pytest
import regorus  # type: ignore[import-untyped]

from trilemma import policy
from trilemma.policy.bundle import Bundle
from trilemma.policy.reasons import COUNTED, Reason

REGO = Path(policy.__file__).resolve().parent / "rego"


def rego_tests() -> list[str]:
    found = []
    for file in sorted(REGO.rglob("*_test.rego")):
        text = file.read_text()
        package = re.search(r"^package (\S+)", text, re.MULTILINE)
        assert package, file
        found += [f"data.{package[1]}.{name}" for name in re.findall(r"^(test_\w+)", text, re.M)]
    return found


def engine_with_tests() -> regorus.Engine:
    engine = regorus.Engine()
    for path, text in Bundle.base().modules.items():
        engine.add_policy(path, text)
    for file in REGO.rglob("*_test.rego"):
        engine.add_policy(str(file), file.read_text())
    engine.add_data_json(Bundle.base().data_json)
    return engine


@pytest.mark.parametrize("rule", rego_tests())
def test_rego(rule: str) -> None:
    assert json.loads(engine_with_tests().eval_rule_as_json(rule)) is True


def test_rego_tests_reach_every_line() -> None:
    engine = engine_with_tests()
    engine.set_enable_coverage(True)
    for rule in rego_tests():
        engine.eval_rule_as_json(rule)
    report = json.loads(engine.get_coverage_report_as_json())
    missed = {
        file["path"]: lines
        for file in report["files"]
        if (lines := file["not_covered"]) and not file["path"].endswith("_test.rego")
    }
    # The one line that must never be true: an organisation without files refuses nothing.
    placeholder = missed.pop("base/organisation/organisation.rego", [])
    assert len(placeholder) <= 1
    assert missed == {}


def test_every_rule_has_a_test_and_metadata() -> None:
    rules = [f for f in REGO.rglob("*.rego") if not f.name.endswith("_test.rego")]
    assert len(rules) >= 9
    for rule in rules:
        assert rule.with_name(f"{rule.stem}_test.rego").is_file(), rule
        assert rule.read_text().startswith("# METADATA\n# title: "), rule


def test_every_reason_of_a_rule_is_a_listed_code() -> None:
    text = "".join(Bundle.base().modules.values())
    codes = set(re.findall(r'^reasons contains "(\w+)"', text, re.MULTILINE))
    assert codes == {str(r) for r in set(Reason) - COUNTED} - {"policy_error"}
