"""What an engine produced is read strictly: anything odd is no answer."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from trilemma.errors import PolicyError
from trilemma.policy.engine import EngineAnswer, read_answer


def document(**changes: Any) -> dict[str, Any]:
    return {"allow": False, "approval": False, "reasons": ["third_capability"], **changes}


def test_an_answer_is_read() -> None:
    assert read_answer(document(reasons=["b", "a", "b"])) == EngineAnswer(False, False, ("a", "b"))
    assert read_answer(document(allow=True, reasons=[])) == EngineAnswer(True, False, ())
    assert read_answer(document(reasons=["organisation/x"])).reasons == ("organisation/x",)


@pytest.mark.parametrize(
    "odd",
    [
        None,
        True,
        "true",
        "<undefined>",
        [],
        {},
        {"allow": True},
        document(extra=1),
        document(allow="true", reasons=[]),
        document(allow=1, reasons=[]),
        document(approval=None),
        document(reasons={}),
        document(reasons="third_capability"),
        document(reasons=[1]),
        document(reasons=[["x"]]),
        document(reasons=["Loud"]),
        document(reasons=["two words"]),
        document(reasons=["line\n"]),
        document(reasons=["a" * 65]),
        document(reasons=[f"r{n}" for n in range(65)]),
        document(reasons=[]),
        document(allow=True),
        document(allow=True, approval=True, reasons=[]),
    ],
)
def test_anything_odd_is_no_answer(odd: object) -> None:
    with pytest.raises(PolicyError, match=r"^the policy"):
        read_answer(odd)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(
    json_values
    | st.fixed_dictionaries({"allow": json_values, "approval": json_values, "reasons": json_values})
)
def test_only_a_plain_true_allows(value: Any) -> None:
    try:
        answer = read_answer(value)
    except PolicyError:
        return
    assert answer.allow is (value["allow"] is True)
    assert answer.allow is (value["reasons"] == [])
