"""The Rego tests that lie beside the rules pass, in process; they reach every line."""

import re
from pathlib import Path

import pytest

from trilemma import policy
from trilemma.policy.bundle import Bundle
from trilemma.policy.reasons import COUNTED, Reason
from trilemma.policy.testing import Fate, Report, read_suite, run_suite

REGO = Path(policy.__file__).resolve().parent / "rego"


@pytest.fixture(scope="module")
def report() -> Report:
    return run_suite(read_suite())


def test_every_rego_test_passes(report: Report) -> None:
    assert len(report.fates) > 50
    assert {name: fate for name, fate in report.fates.items() if fate is not Fate.PASS} == {}


def test_rego_tests_reach_every_line(report: Report) -> None:
    missed = dict(report.missed)
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
