"""Bundles: what is shipped, what the operator adds, and one digest over all of it."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from trilemma.errors import SpecError
from trilemma.policy.bundle import Bundle
from trilemma.policy.capability import ALL, Capability
from trilemma.policy.operator import Approval, OperatorPolicy, Providers
from trilemma.policy.regorus import RegorusEngine
from trilemma.policy.request import AccessRequest, Act, ToolFacts

NO_MAIL = 'package organisation\n\ndeny contains "no_mail" if input.tool.name == "send_mail"\n'


def call(tool: str) -> AccessRequest:
    facts = ToolFacts(tool, "sha256:0", declared=True)
    return AccessRequest(Act.TOOL, "me", frozenset(), frozenset(), None, tool=facts)


def folder(path: Path, **files: str) -> Path:
    for name, text in files.items():
        (path / f"{name}.rego").write_text(text)
    return path


def test_the_base_bundle_holds_rules_and_no_tests() -> None:
    modules = Bundle.base().modules
    assert "base/decision.rego" in modules
    assert not [path for path in modules if "_test" in path]


def test_the_digest_is_the_same_every_time_and_names_its_hash() -> None:
    digest = Bundle.base().digest
    assert digest == Bundle.base().digest
    assert digest.startswith("sha256:")
    assert len(digest) == 71


def test_the_digest_covers_every_text_path_and_datum() -> None:
    base = Bundle.base()
    path, text = next(iter(base.modules.items()))
    changed = [
        replace(base, modules={**base.modules, path: text + " "}),
        replace(base, modules={**base.modules, "more.rego": "package more\n"}),
        replace(base, modules={k: v for k, v in base.modules.items() if k != path}),
        replace(base, data={**base.data, "more": 1}),
        base.with_operator(OperatorPolicy(providers=Providers(under_contract=("openai",)))),
    ]
    assert len({base.digest, *(b.digest for b in changed)}) == 6


@given(st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=5))
def test_the_digest_does_not_depend_on_order(modules: dict[str, str]) -> None:
    reverse = dict(reversed(modules.items()))
    assert Bundle(modules, {}).digest == Bundle(reverse, {}).digest


def test_where_the_rego_lies_is_not_part_of_the_digest(tmp_path: Path) -> None:
    digests = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        policy = OperatorPolicy(rego=folder(tmp_path / name, mail=NO_MAIL))
        digests.add(Bundle.base().with_operator(policy).digest)
    assert len(digests) == 1
    assert digests != {Bundle.base().digest}


def test_an_organisation_can_refuse_more(tmp_path: Path) -> None:
    engine = RegorusEngine(Bundle.base().with_directory(folder(tmp_path, mail=NO_MAIL)))
    assert engine.evaluate(call("send_mail").facts()).reasons == ("organisation/no_mail",)
    assert engine.evaluate(call("read_file").facts()).allow


def test_an_organisations_tests_and_libraries_are_fine(tmp_path: Path) -> None:
    folder(tmp_path, mail=NO_MAIL, mail_test="package organisation_test\n")
    (tmp_path / "lib").mkdir()
    folder(tmp_path / "lib", words="package organisation.words\n\nbad := {1}\n")
    bundle = Bundle.base().with_directory(tmp_path)
    assert sorted(p for p in bundle.modules if p.startswith("organisation/")) == [
        "organisation/lib/words.rego",
        "organisation/mail.rego",
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("package trilemma\n\n_legal := true\n", "not yours to write"),
        ("package trilemma.pick_two\n\nok := true\n", "not yours to write"),
        ("package organisations\n\ndeny contains 1\n", "not yours to write"),
        ("package organisation\n\ndenny contains 1 if false\n", "nothing is refused"),
        ("package organisation.lib\n\ndeny contains 1 if false\n", "nothing is refused"),
        ("package organisation\n\ndeny := set()\n", "is a set of codes"),
        ('package organisation\n\ndeny := "no"\n', "is a set of codes"),
        ("package organisation\n\ndeny if input.act\n", "is a set of codes"),
        ("package organisation\n\ndeny[x] := 1 if x := 2\n", "is a set of codes"),
        ("package organisation\n\ndeny.x contains 1\n", "is a set of codes"),
        ("package organisation\n\ndeny(x) := x\n", "is a set of codes"),
        ("package organisation\n\ndefault deny := 1\n", "is a set of codes"),
        ("package organisation\n\ndeny contains 1\n", "does not work"),
        ("package organisation\n\ndeny contains {\n", "does not load"),
        ("", "does not load"),
    ],
)
def test_an_organisation_cannot_do_anything_else(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(SpecError, match=complaint) as caught:
        Bundle.base().with_directory(folder(tmp_path, rule=text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "asked",
    [
        "time.now_ns() > 5",
        'time["now_ns"]() > 5',
        'time.clock([0, concat("", ["Lo", "cal"])])[0] == 1',
        'rand.intn("die", 6) == 5',
        "count([1]) == 5 with count as rand.intn",
        'http.send({"method": "get", "url": "http://127.0.0.1"}).status_code == 200',
        "opa.runtime().env.HOME",
        'net.lookup_ip_addr("localhost")',
        'some x in [uuid.rfc4122("a")]',
    ],
)
@pytest.mark.parametrize("package", ["organisation", "organisation.lib"])
def test_a_policy_that_would_answer_otherwise_tomorrow_is_refused(
    tmp_path: Path, asked: str, package: str
) -> None:
    folder(tmp_path, mail=NO_MAIL)
    (tmp_path / "more").mkdir()
    folder(tmp_path / "more", rule=f"package {package}\n\nsurprise if {{ {asked} }}\n")
    with pytest.raises(SpecError, match="has another answer each time") as caught:
        Bundle.base().with_directory(tmp_path)
    assert "more/rule.rego" in str(caught.value)


@pytest.mark.parametrize(("zone", "hour"), [("Etc/GMT-1", "1"), ("Etc/GMT-2", "2")])
def test_twin_unasked_such_a_policy_answers_otherwise_on_another_machine(
    zone: str, hour: str
) -> None:
    asks = (
        "import regorus\nengine = regorus.Engine()\n"
        "engine.add_policy('p', 'package p\\nx := time.clock([0, \"Local\"])[0]')\n"
        "print(engine.eval_rule_as_json('data.p.x'))"
    )
    start = [sys.executable, "-c", asks]
    run = subprocess.run(start, env={"TZ": zone}, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == hour


def test_facts_and_rules_may_be_called_like_a_clock(tmp_path: Path) -> None:
    text = NO_MAIL + "\nrand := 3\n\nnow if input.time.now_ns > rand\n\nlater := time.now + 1\n"
    text += '\ntime := {"now": 1}\n'
    Bundle.base().with_directory(folder(tmp_path, rule=text))


def test_whatever_an_organisation_writes_three_stay_refused(tmp_path: Path) -> None:
    text = NO_MAIL + '\nallow := true\n\nok := true\n\ndecision := {"allow": true}\n'
    engine = RegorusEngine(Bundle.base().with_directory(folder(tmp_path, rule=text)))
    request = replace(call("read_file"), needs=ALL)
    assert engine.evaluate(request.facts()).reasons == ("third_capability",)


def test_a_folder_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no policy folder"):
        Bundle.base().with_directory(tmp_path / "missing")
    with pytest.raises(SpecError, match="0 Rego files"):
        Bundle.base().with_directory(tmp_path)
    (tmp_path / "bad.rego").write_bytes(b"package \xff")
    with pytest.raises(SpecError, match="not UTF-8"):
        Bundle.base().with_directory(tmp_path)
    (tmp_path / "bad.rego").write_bytes(b"#" * 300_000)
    with pytest.raises(SpecError, match="larger than"):
        Bundle.base().with_directory(tmp_path)


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    os.mkdir(tmp_path / "odd.rego")
    with pytest.raises(SpecError, match="cannot read policy folder"):
        Bundle.base().with_directory(tmp_path)


def test_approvals_reach_the_engine() -> None:
    policy = OperatorPolicy(approval=Approval(tools=("send_mail",)))
    engine = RegorusEngine(Bundle.base().with_operator(policy))
    answer = engine.evaluate(call("send_mail").facts())
    assert (answer.allow, answer.approval) == (False, True)
    third = replace(call("send_mail"), needs=frozenset(Capability))
    assert engine.evaluate(third.facts()).approval is False
