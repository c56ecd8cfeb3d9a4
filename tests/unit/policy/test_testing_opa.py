"""The Rego tests end alike in both engines, and where they do not, that is seen."""

from dataclasses import replace

import pytest

from trilemma.errors import PolicyError
from trilemma.policy.testing import Fate, Suite, read_suite, run_suite
from trilemma.policy.testing_opa import disagreements, run_opa

pytestmark = pytest.mark.opa

FAILING = "package trilemma.extra_test\n\ntest_fails if 1 == 2\n\ntest_passes if 1 == 1\n"


def with_tests(text: str) -> Suite:
    suite = read_suite(None)
    return replace(suite, tests={**suite.tests, "base/extra_test.rego": text})


def test_both_engines_agree_on_the_tests_that_are_shipped(opa: str) -> None:
    suite = read_suite(None)
    here = dict(run_suite(suite).fates)
    assert disagreements(here, run_opa(opa, suite)) == []
    assert set(here.values()) == {Fate.PASS}


def test_a_test_that_fails_fails_in_both(opa: str) -> None:
    suite = with_tests(FAILING)
    here, there = dict(run_suite(suite).fates), run_opa(opa, suite)
    assert disagreements(here, there) == []
    assert there["data.trilemma.extra_test.test_fails"] is Fate.FAIL
    assert there["data.trilemma.extra_test.test_passes"] is Fate.PASS


def test_a_different_end_is_named() -> None:
    here = {"a": Fate.PASS, "b": Fate.PASS}
    assert disagreements(here, {"a": Fate.PASS, "b": Fate.FAIL}) == ["b"]
    assert disagreements(here, {"a": Fate.PASS}) == ["b"]
    assert disagreements({}, here) == ["a", "b"]


def test_what_the_strict_check_refuses_is_said(opa: str) -> None:
    with pytest.raises(PolicyError, match="unused"):
        run_opa(opa, with_tests("package trilemma.extra_test\n\ntest_x if {\n\tunused := 1\n}\n"))
