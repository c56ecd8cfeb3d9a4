"""Command-line tools: typed arguments become one argv; nothing can become an option."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from trilemma.errors import SpecError
from trilemma.gateway.arguments import BadArguments, canonical, parse
from trilemma.gateway.commands import definition, entry
from trilemma.gateway.schemas import CommandTool
from trilemma.policy.capability import ALL
from trilemma.policy.yamltext import validate


def command(**fields: Any) -> CommandTool:
    return validate(
        CommandTool,
        {
            "command": "show",
            "description": "Show a message",
            "executable": "/usr/bin/mshow",
            "sha256": "0" * 64,
            "needs": ["files"],
            **fields,
        },
        "test",
    )


SHOW = command(
    argv=["-q", "{verbose}", "--depth={depth}", "--", "{message}"],
    arguments={
        "message": {"type": "string"},
        "verbose": {"type": "boolean", "flag": "-v"},
        "depth": {"type": "integer", "minimum": 0, "maximum": 9, "required": False},
    },
)


def test_argv_is_complete_and_absent_arguments_leave_no_word() -> None:
    full = {"message": "inbox/1", "verbose": True, "depth": 3}
    assert entry(SHOW, full).argv == (
        "/usr/bin/mshow",
        "-q",
        "-v",
        "--depth=3",
        "--",
        "inbox/1",
    )
    assert entry(SHOW, {"message": "x"}).argv == ("/usr/bin/mshow", "-q", "--", "x")


@pytest.mark.parametrize("value", ["-rf", "--pre=sh", "a\nb", "a\0b", "-"])
def test_a_value_cannot_be_an_option_or_end_early(value: str) -> None:
    with pytest.raises(BadArguments):
        parse(canonical({"message": value}), definition(SHOW))


def test_values_cannot_bring_placeholders_of_their_own() -> None:
    two = command(
        argv=["{first}", "{second}"],
        arguments={"first": {"type": "string"}, "second": {"type": "string"}},
    )
    words = entry(two, {"first": "{second}", "second": "x"}).argv
    assert words == ("/usr/bin/mshow", "{second}", "x")


@given(first=st.text(), second=st.text())
def test_every_value_stays_within_its_own_word(first: str, second: str) -> None:
    two = command(
        argv=["a={first}", "{second}{first}"],
        arguments={"first": {"type": "string"}, "second": {"type": "string"}},
    )
    words = entry(two, {"first": first, "second": second}).argv
    assert words == ("/usr/bin/mshow", f"a={first}", f"{second}{first}")


def test_a_pattern_binds_the_whole_value() -> None:
    tool = definition(
        command(argv=["{id}"], arguments={"id": {"type": "string", "pattern": "[0-9]+|x"}})
    )
    assert parse('{"id": "12"}', tool) == {"id": "12"}
    for value in ("12\n", "1 2", "xx", "-1", ""):
        with pytest.raises(BadArguments):
            parse(canonical({"id": value}), tool)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"executable": "mshow"}, "executable"),
        ({"sha256": "abc"}, "sha256"),
        ({"argv": ["{ghost}"]}, "'ghost'"),
        ({"arguments": {"unused": {"type": "string"}}}, "'unused'"),
        ({"needs": ["disk"]}, "unknown capability 'disk'"),
        ({"needs": "files"}, "must be a list"),
        ({"argv": ["{a}"], "arguments": {"a": {"type": "boolean"}}}, "flag"),
        ({"argv": ["{a}"], "arguments": {"a": {"type": "string", "pattern": "("}}}, "pattern"),
        ({"argv": ["{a}"], "arguments": {"a": {"type": "integer", "pattern": "1"}}}, "strings"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_declaration_names_what_is_wrong(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError) as problem:
        command(**fields)
    assert says in str(problem.value)


def test_a_command_without_needs_counts_as_all_three() -> None:
    bare = CommandTool(command="bare", description="", executable="/usr/bin/true", sha256="0" * 64)
    assert definition(bare).needs == ALL
    assert not definition(bare).facts.declared


def test_a_command_cannot_use_structured_egress() -> None:
    with pytest.raises(SpecError, match="http_fetch"):
        definition(command(needs=["internet"]))


def test_the_identity_follows_everything_that_was_trusted() -> None:
    base = definition(SHOW).identity
    assert definition(SHOW.model_copy(update={"sha256": "1" * 64})).identity != base
    assert definition(SHOW.model_copy(update={"description": "Delete"})).identity != base
    assert definition(SHOW.model_copy(update={"argv": ("{message}",)})).identity != base


def test_a_value_that_looks_like_a_placeholder_is_left_alone() -> None:
    two = command(
        argv=["{second}{first}"],
        arguments={"first": {"type": "string"}, "second": {"type": "string"}},
    )
    assert entry(two, {"first": "1", "second": "{first}"}).argv[1:] == ("{first}1",)


def test_a_last_newline_is_not_overlooked() -> None:
    with pytest.raises(BadArguments):
        parse(canonical({"message": "inbox\n"}), definition(SHOW))


@pytest.mark.parametrize("kind", ["integer", "number"])
def test_sign_of_a_number_is_no_option(kind: str) -> None:
    head = command(argv=["{n}"], arguments={"n": {"type": kind}})
    with pytest.raises(BadArguments, match=r"minimum"):
        parse('{"n":-5}', definition(head))
    signed = command(argv=["--at={n}"], arguments={"n": {"type": kind, "minimum": -9}})
    assert entry(signed, parse('{"n":-5}', definition(signed))).argv[1:] == ("--at=-5",)


@pytest.mark.parametrize("text", ["5", "5.0", "0.5e1"])
def test_whole_number_reaches_the_program_as_digits(text: str) -> None:
    head = command(argv=["{n}"], arguments={"n": {"type": "integer"}})
    assert entry(head, parse(f'{{"n":{text}}}', definition(head))).argv[1:] == ("5",)


@pytest.mark.parametrize("value", ["@/etc/passwd", "@list"])
def test_a_file_with_more_arguments_cannot_be_named(value: str) -> None:
    with pytest.raises(BadArguments):
        parse(canonical({"message": value}), definition(SHOW))
    named = command(argv=["{a}"], arguments={"a": {"type": "string", "pattern": "@?[a-z/]+"}})
    assert parse(canonical({"a": value}), definition(named)) == {"a": value}


def test_a_loose_pattern_still_lets_no_dash_lead_and_no_nul_pass() -> None:
    loose = command(argv=["{a}"], arguments={"a": {"type": "string", "pattern": "[\\s\\S]*"}})
    assert parse(canonical({"a": "x\ny"}), definition(loose)) == {"a": "x\ny"}
    for value in ("-x", "a\0b", "a\n\0", "\0"):
        with pytest.raises(BadArguments):
            parse(canonical({"a": value}), definition(loose))


def test_what_is_read_from_standard_input_may_be_any_text() -> None:
    sort = command(stdin="text", arguments={"text": {"type": "string"}})
    text = "- one\n@two\n"
    assert entry(sort, parse(canonical({"text": text}), definition(sort))).stdin == text


def test_a_number_that_may_be_negative_cannot_begin_a_word() -> None:
    number = {"n": {"type": "integer", "minimum": -9}}
    with pytest.raises(SpecError, match="may be negative"):
        definition(command(argv=["{n}"], arguments=number))
    assert definition(command(argv=["--at={n}"], arguments=number)).name == "show"


LITERALS = st.sampled_from(["", "-n", "--at=", "--", "x", "{", "}", "=", "-"])
TEMPLATES = st.lists(
    st.builds("{}{}{}{}".format, LITERALS, st.sampled_from(["", "{a}"]), LITERALS, st.just("{b}")),
    min_size=1,
    max_size=4,
)
VALUES = st.text() | st.sampled_from(
    ["-", "--", "-rf", "--config=x", "@x", "a\nb", "a\0b", "{b}", "{a}", "-\n", "\n-x", "a b", ""]
)


@given(argv=TEMPLATES, a=VALUES, b=VALUES)
def test_whatever_a_call_says_no_word_becomes_an_option(argv: list[str], a: str, b: str) -> None:
    tool = command(argv=[*argv, "{a}"], arguments={n: {"type": "string"} for n in "ab"})
    try:
        arguments = parse(canonical({"a": a, "b": b}), definition(tool))
    except BadArguments:
        assert any(not v or v[0] in "-@" or set(v) & set("\r\n\0") for v in (a, b))
        return
    program, *words = entry(tool, arguments).argv
    assert program == "/usr/bin/mshow"
    assert len(words) == len(tool.argv)
    for template, word in zip(tool.argv, words, strict=True):
        assert word.startswith("-") == template.startswith("-")
        assert not word.startswith("@")
        assert not set(word) & set("\r\n\0")


@given(word=st.sampled_from(["-rf", "--config=x", "@x"]))
def test_sabotage_without_the_schema_the_same_values_would_be_options(word: str) -> None:
    plain = command(argv=["{a}"], arguments={"a": {"type": "string"}})
    assert entry(plain, {"a": word}).argv[1:] == (word,)
