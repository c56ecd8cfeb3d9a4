"""The reference engine reads the same files, passes the same tests and decides the same."""

import json
import subprocess
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from trilemma import policy
from trilemma.errors import PolicyError
from trilemma.policy.bundle import Bundle
from trilemma.policy.capability import Capability
from trilemma.policy.engine import EngineAnswer, read_answer
from trilemma.policy.operator import Approval, OperatorPolicy
from trilemma.policy.regorus import RegorusEngine

REGO = Path(policy.__file__).resolve().parent / "rego"
BUNDLE = Bundle.base().with_operator(OperatorPolicy(approval=Approval(tools=("send_mail",))))

pytestmark = pytest.mark.opa


def run(*command: str, stdin: str = "") -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def decide(opa: str, folder: Path, facts: list[dict[str, Any]]) -> list[Any]:
    """What the reference engine decides on each of these facts."""
    for path, text in BUNDLE.modules.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    (folder / "data.json").write_text(BUNDLE.data_json)
    query = "[d | some facts in input; d := data.trilemma.decision with input as facts]"
    out = run(
        *(opa, "eval", "--format", "json", "--strict-builtin-errors", "--stdin-input"),
        *("--data", str(folder / "base"), "--data", str(folder / "data.json"), query),
        stdin=json.dumps(facts),
    )
    answers = json.loads(out)["result"][0]["expressions"][0]["value"]
    assert len(answers) == len(facts)
    return list(answers)


def test_the_files_are_strict_and_formatted(opa: str) -> None:
    run(opa, "check", "--strict", str(REGO))
    assert run(opa, "fmt", "--list", str(REGO)) == ""


def test_the_rego_tests_pass(opa: str, tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text(Bundle.base().data_json)
    run(opa, "test", str(REGO), str(tmp_path / "data.json"))


def states() -> list[dict[str, Any]]:
    """Facts of every kind of act, legal and not."""
    sets = [[str(c) for n, c in enumerate(Capability) if bits >> n & 1] for bits in range(8)]
    base = {"version": 1, "principal": "me", "tainted": False, "endorsed": False, "share": None}
    tools = [
        {"name": name, "identity": "sha256:0", "declared": declared}
        for name, declared in product(("read_file", "send_mail"), (True, False))
    ]
    found: list[dict[str, Any]] = [
        {**base, "act": "tool", "needs": needs, "label": label, "held": held, "grants": grants}
        | {"tool": tool, "approved": approved}
        for needs, held, grants in product(sets, sets, [None, sets[3], sets[6]])
        for label, tool, approved in zip(sets, tools, (False, False, True, True), strict=False)
    ]
    found += [
        {**base, "act": "model", "needs": needs, "label": [], "held": held, "grants": None}
        | {"model": {"provider": "p", "inside": inside, "under_contract": contract}}
        for needs, held in product(sets, sets)
        for inside, contract in product((True, False), repeat=2)
    ]
    found += [
        {**base, "act": "egress", "needs": ["internet"], "label": [], "held": held}
        | {"grants": grants, "egress": request}
        for held, grants in product(sets, [None, sets[6], sets[3]])
        for request in egress_requests()
    ]
    found += [
        {**base, "act": "tool", "needs": needs, "label": [], "held": [], "grants": sets[3]}
        | {"tool": tools[0], "approved": False, "share": share}
        for needs, share in product(sets, [None, *sets])
    ]
    found += [
        {**base, "act": "delegation", "needs": [], "label": label, "held": held}
        | {"grants": grants, "approved": False, "delegation": {"agent": "web"} | child}
        for label, held, grants in product(sets[::3], sets[:4], [None, sets[3]])
        for child in children(sets)
    ]
    return found


def children(sets: list[list[str]]) -> list[dict[str, Any]]:
    return [
        {"grants": grants, "down": down, "wider": wider, "over": over}
        for grants, down in product([None, sets[2], sets[6]], sets)
        for wider, over in (([], []), (["tools"], ["team_depth", "team_width"]))
    ]


def egress_requests() -> list[dict[str, Any]]:
    kinds = [("https", "GET", True), ("https", "CONNECT", True), ("tunnel", "CONNECT", False)]
    return [
        {"host": "a.example", "port": 443, "scheme": scheme, "method": method}
        | {"structured": structured, "listed": listed, "limited": limited}
        | {"bytes_out": size, "budget_left": 100}
        for scheme, method, structured in kinds
        for listed, limited, size in product((True, False), (True, False), (0, 101))
    ]


HOSTILE: list[dict[str, Any]] = [
    {},
    {"version": 1},
    {"act": "tool", "version": 1, "needs": None, "held": "files", "label": {}, "grants": 1},
    {"act": ["tool"], "version": 1, "needs": [], "held": [], "label": [], "grants": None},
    {"act": "tool", "version": 1, "needs": ["FILES"], "held": [], "label": [], "grants": None},
    {"act": "tool", "version": "1", "needs": [], "held": [], "label": [], "grants": None},
    *(
        {"act": "delegation", "version": 1, "needs": [], "held": [], "label": [], "grants": None}
        | {"share": None, "delegation": child}
        for child in (
            None,
            7,
            {"agent": ["web"], "grants": 3, "down": {}, "wider": 1, "over": None},
            {"agent": "web", "grants": [], "down": "files", "wider": "", "over": {"a": "b"}},
        )
    ),
]


def embedded(engine: RegorusEngine, facts: dict[str, Any]) -> EngineAnswer | str:
    try:
        return engine.evaluate(facts)
    except PolicyError:
        return "no answer"


def reference(document: Any) -> EngineAnswer | str:
    try:
        return read_answer(document)
    except PolicyError:
        return "no answer"


def test_both_engines_decide_alike(opa: str, tmp_path: Path) -> None:
    facts = [*states(), *HOSTILE]
    engine = RegorusEngine(BUNDLE)
    answers = decide(opa, tmp_path, facts)
    allowed = 0
    for one, document in zip(facts, answers, strict=True):
        answer = embedded(engine, one)
        assert reference(document) == answer, one
        allowed += isinstance(answer, EngineAnswer) and answer.allow
    assert allowed > 100
    assert len(facts) > 1500
