"""Each flipped operator of the rule, and of the base policy, turns a test red."""

from collections import Counter
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path
from types import ModuleType

from tests.mutation.mutants import python_mutants, rego_mutants

from trilemma.errors import SpecError
from trilemma.policy import rule
from trilemma.policy.capability import ALL
from trilemma.policy.testing import Fate, read_suite, run_suite

SETS = [frozenset(c) for n in range(4) for c in combinations(sorted(ALL), n)]


def keeps_the_rule(module: ModuleType) -> bool:
    """The rule in other words, on every state."""
    for held, taking, grants, share in product(SETS, SETS, [None, *SETS], [None, *SETS]):
        third = len(held.union(taking)) == 3
        outside = grants is not None and bool(held.union(taking).difference(grants))
        beyond = share is not None and bool(taking.difference(share))
        said = module.violation(held, taking, grants, share)
        expected = "third_capability" if third else "outside_grants" if outside or beyond else None
        if said != expected:
            return False
    return True


def test_no_mutant_of_the_rule_survives() -> None:
    path = Path(str(rule.__file__))
    mutants = list(python_mutants("rule.py", path.read_text()))
    survivors, broken = [], []
    for mutant in mutants:
        module = ModuleType("trilemma.policy.mutant")
        module.__package__ = "trilemma.policy"
        exec(compile(mutant.text, mutant.name, "exec"), module.__dict__)
        try:
            if keeps_the_rule(module):
                survivors.append(mutant.name)
        except (TypeError, AttributeError):
            broken.append(mutant.name)
    assert keeps_the_rule(rule)
    assert len(mutants) >= 8
    print(len(mutants), broken)
    assert survivors == []


def test_mutants_of_the_base_policy_turn_a_rego_test_red() -> None:
    suite = read_suite()
    fates: Counter[str] = Counter()
    survivors = []
    for path, text in sorted(suite.bundle.modules.items()):
        for mutant in rego_mutants(path, text):
            modules = {**suite.bundle.modules, path: mutant.text}
            try:
                report = run_suite(replace(suite, bundle=replace(suite.bundle, modules=modules)))
            except SpecError:
                fates["broken"] += 1
                continue
            killed = any(fate is Fate.FAIL for fate in report.fates.values())
            fates["killed" if killed else "survived"] += 1
            if not killed:
                survivors.append(mutant.name)
    print(dict(fates), survivors)
    assert survivors == []
    assert fates["killed"] >= 59
    assert not fates["broken"]
