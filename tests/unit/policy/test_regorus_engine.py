"""The in-process engine: threads, hostile facts, broken policies."""

import gc
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from trilemma.errors import PolicyError, SpecError
from trilemma.policy import regorus as adapter
from trilemma.policy.bundle import Bundle
from trilemma.policy.capability import Capability
from trilemma.policy.engine import EngineAnswer
from trilemma.policy.regorus import MAX_FACTS, RegorusEngine
from trilemma.policy.request import AccessRequest, Act, ToolFacts

CALL = AccessRequest(
    Act.TOOL,
    "me",
    frozenset(),
    frozenset(),
    None,
    tool=ToolFacts("read_file", "sha256:0", declared=True),
)
YES = EngineAnswer(allow=True, approval=False, reasons=())


def base_with(path: str, text: str) -> Bundle:
    base = Bundle.base()
    return replace(base, modules={**base.modules, path: text})


@pytest.fixture(scope="module")
def engine() -> RegorusEngine:
    return RegorusEngine(Bundle.base())


def test_many_threads_share_one_engine(engine: RegorusEngine) -> None:
    start = threading.Barrier(8)

    def judge(thread: int) -> list[EngineAnswer]:
        start.wait()
        callers = (replace(CALL, principal=f"{thread}:{n}") for n in range(50))
        return [engine.evaluate(caller.facts()) for caller in callers]

    with ThreadPoolExecutor(8) as pool:
        for answers in pool.map(judge, range(8)):
            assert answers == [YES] * 50


def test_an_engine_can_be_dropped_in_another_thread() -> None:
    engines = [RegorusEngine(Bundle.base())]
    thread = threading.Thread(target=lambda: engines[0].evaluate(CALL.facts()))
    thread.start()
    thread.join()
    engines.clear()
    gc.collect()  # an error while dropping would fail the test, as every warning does


def test_a_thread_keeps_only_a_few_policies() -> None:
    for number in range(20):
        bundle = replace(Bundle.base(), data={**Bundle.base().data, "number": number})
        assert RegorusEngine(bundle).evaluate(CALL.facts()) == YES
    assert len(adapter._engines()) <= 8


@pytest.mark.parametrize(
    "hostile",
    [
        {"principal": "a\ud800"},
        {"principal": float("nan")},
        {"principal": float("inf")},
        {"principal": b"bytes"},
        {"principal": {1, 2}},
        {"principal": object()},
        {"principal": "x" * MAX_FACTS},
        {"principal": "\N{GRINNING FACE}" * (MAX_FACTS // 4)},
        {"deep": json.loads("[" * 900 + "]" * 900)},
    ],
)
def test_facts_that_are_not_plain_are_not_judged(
    engine: RegorusEngine, hostile: dict[str, Any]
) -> None:
    with pytest.raises(PolicyError):
        engine.evaluate({**CALL.facts(), **hostile})
    assert engine.evaluate(CALL.facts()) == YES


@pytest.mark.parametrize(
    "text",
    ["/safe\0/../../etc/passwd", '","allow":true,"z":"', '"admin"', "a\nb\x1b[31m", "\N{SNOWMAN}"],
)
def test_no_text_in_the_facts_changes_the_answer(engine: RegorusEngine, text: str) -> None:
    third = replace(CALL, principal=text, needs=frozenset({Capability.FILES}))
    assert engine.evaluate(replace(CALL, principal=text).facts()) == YES
    facts = {**third.facts(), "needs": ["files"], "held": ["internet", "code"]}
    assert engine.evaluate(facts).reasons == ("third_capability",)


ENGINE = RegorusEngine(Bundle.base())

junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(CALL.facts())), junk)
def test_a_field_of_the_wrong_form_never_allows_more(field: str, value: Any) -> None:
    facts: dict[str, Any] = {**CALL.facts(), "held": ["files", "internet"], "needs": ["code"]}
    facts[field] = value
    try:
        answer = ENGINE.evaluate(facts)
    except PolicyError:
        return
    if answer.allow:  # only by taking the third capability out of the question
        assert (field, value) in (("held", []), ("needs", [])) or field in ("held", "needs")
        sets = [set(facts["held"]), set(facts["needs"])]
        assert len(sets[0] | sets[1]) <= 2


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("package organisation\ndeny contains", "expecting"),
        ('package organisation\ndeny contains "x" if inptu.act == 1\n', "inptu"),
        ('package organisation\ndeny contains "x" if nosuch.builtin(1)\n', "nosuch"),
    ],
)
def test_a_policy_that_does_not_load_is_refused_in_one_line(text: str, complaint: str) -> None:
    with pytest.raises((SpecError, PolicyError)) as caught:
        RegorusEngine(base_with("broken.rego", text)).evaluate(CALL.facts())
    assert complaint in str(caught.value)
    assert "broken.rego" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_rule_that_fails_at_run_time_is_an_error() -> None:
    text = 'package organisation\ndeny contains "x" if 1 / count(input.label) == 2\n'
    with pytest.raises(PolicyError, match=r"^the policy engine failed: late\.rego"):
        RegorusEngine(base_with("late.rego", text)).evaluate(CALL.facts())


def test_an_undefined_decision_is_an_error() -> None:
    engine = RegorusEngine(base_with("base/decision.rego", "package trilemma\n\nother := 1\n"))
    with pytest.raises(PolicyError, match="not a valid rule path"):
        engine.evaluate(CALL.facts())


def test_a_panic_of_the_engine_is_an_error(
    engine: RegorusEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Panic(BaseException):
        pass

    class Panicking:
        def set_input_json(self, text: str) -> None:
            raise Panic("gone")

    monkeypatch.setitem(adapter._engines(), engine.digest, Panicking())
    facts = replace(CALL, principal="panic").facts()
    with pytest.raises(PolicyError, match="gone"):
        engine.evaluate(facts)
    assert engine.evaluate(facts) == YES  # a fresh one took its place


def test_an_answer_that_took_too_long_is_not_used(
    engine: RegorusEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "MAX_SECONDS", -1.0)
    with pytest.raises(PolicyError, match="took more than"):
        engine.evaluate(replace(CALL, principal="slow").facts())


def test_a_remembered_verdict_belongs_to_its_question_and_its_policy() -> None:
    text = 'package organisation\n\ndeny contains "not_you" if input.principal == "you"\n'
    strict = RegorusEngine(base_with("organisation/a.rego", text))
    for _ in range(2):
        for principal, allowed in (("me", True), ("you", False)):
            facts = replace(CALL, principal=principal).facts()
            assert strict.evaluate(facts).allow is allowed
            assert RegorusEngine(Bundle.base()).evaluate(facts) == YES


def test_a_failure_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = RegorusEngine(Bundle.base())
    with monkeypatch.context() as broken:
        broken.setattr(adapter, "MAX_SECONDS", -1.0)
        with pytest.raises(PolicyError):
            engine.evaluate(CALL.facts())
    assert engine.evaluate(CALL.facts()) == YES
