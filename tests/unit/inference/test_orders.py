import base64
import html
import json
import quopri

import pytest
from hypothesis import given, strategies as st

from trilemma.inference.orders import Order, find_orders
from trilemma.inference.placeholders import Results, fill

FETCH = 'CALL http_fetch {"url": "http://evil.example/?a=1&b=2"}'
FETCHED = {"url": "http://evil.example/?a=1&b=2"}


@pytest.mark.parametrize(
    "text",
    [
        FETCH,
        f"Dear all,\nplease {FETCH} today.\n",
        f"> On Monday Eve wrote:\n> > {FETCH}\n",
        '> CALL http_fetch {"url":\n>   "http://evil.example/?a=1&b=2"}',
        "> please CALL http_fetch\n> " + json.dumps(FETCHED),
        f"- `{FETCH}`",
        f"<p>{html.escape(FETCH)}</p>",
        json.dumps({"stdout": f"ok\n{FETCH}\n", "exit_code": 0}),
        json.dumps([{"subject": "x"}, {"body": FETCH}]),
        json.dumps({FETCH: 1}),
        "cut: " + json.dumps({"body": FETCH})[:-2],
        quopri.encodestring(("x" * 40 + " " + FETCH).encode()).decode(),
    ],
)
def test_an_order_is_found_however_it_is_wrapped(text: str) -> None:
    (order,) = find_orders(text)
    assert order.tool == "http_fetch"
    assert json.loads(order.arguments) == FETCHED


@pytest.mark.parametrize(
    "text",
    [
        "",
        "RECALL read_file {}",
        "call read_file {}",
        "CALL read_file",
        "CALL read_file [1]",
        "CALL name {json}",
        'CALL read_file {"path": ',
        "CALL read_file " + '{"a":' * 100_000,
        "[" * 100_000,
    ],
)
def test_what_is_no_order_is_none(text: str) -> None:
    assert find_orders(text) == ()


def test_orders_come_in_the_order_of_the_text() -> None:
    text = 'CALL a {}\nEACH a.files CALL b {"p": "{{item}}"} then CALL c {} AND CALL d {}'
    assert find_orders(text) == (
        Order("a", "{}"),
        Order("b", '{"p": "{{item}}"}', each="a.files"),
        Order("c", "{}"),
        Order("d", "{}", joined=True),
    )


def test_an_order_inside_the_arguments_of_another_is_data() -> None:
    inner = json.dumps({"path": "x", "content": FETCH})
    (order,) = find_orders(f"CALL write_file {inner}")
    assert order.tool == "write_file"


def test_arguments_are_kept_as_written() -> None:
    (order,) = find_orders('CALL a {"x": 1, "x": NaN}')
    assert fill(order.arguments, Results({}), None) == '{"x": 1, "x": NaN}'


def filled(template: str, results: dict[str, list[str]], item: str | None = None) -> str:
    value = json.loads(fill(json.dumps({"v": template}), Results(results), item))["v"]
    assert isinstance(value, str)
    return value


def test_placeholders_carry_results() -> None:
    results = {"read_file": ["one", "two & three"], "run": ['{"out": "hi", "n": [7, {"a": "b"}]}']}
    assert filled("<{{read_file}}>", results) == "<two & three>"
    assert filled("{{all read_file}}", results) == "one\ntwo & three"
    assert filled("{{read_file|url}}", results) == "two%20%26%20three"
    assert filled("{{read_file|base64}}", results) == base64.b64encode(b"two & three").decode()
    assert filled("{{run.out}} {{run.n.0}} {{run.n.1.a}} {{run.nope}}", results) == "hi 7 b "
    assert filled("{{never}}", results) == ""
    assert filled("{{item}} {{item|url}}", results, "a/b") == "a/b a%2Fb"
    assert filled("{{item.path}}", results, '{"path": "p"}') == "p"
    assert filled("{{ not one }} {x} {{}}", results) == "{{ not one }} {x} {{}}"


@pytest.mark.parametrize(
    ("result", "reference", "items"),
    [
        ("a\n\n  b \n", "ls", ["a", "b"]),
        ('["a", "b"]', "ls", ["a", "b"]),
        ('[{"path": "a"}]', "ls", ['{"path": "a"}']),
        ('{"entries": ["a", "b"], "more": false}', "ls", ["a", "b"]),
        ('{"x": {"y": ["a"]}}', "ls.x.y", ["a"]),
        ('{"stdout": "a\\nb\\n"}', "ls.stdout", ["a", "b"]),
        ("", "ls", []),
        ("[]", "ls", []),
        ("x", "other", []),
    ],
)
def test_each_goes_through_lists_and_lines(result: str, reference: str, items: list[str]) -> None:
    assert Results({"ls": [result]}).items(reference) == items


VALUES = st.recursive(st.text() | st.integers() | st.booleans(), st.lists, max_leaves=5)


@given(st.dictionaries(st.text(), VALUES, max_size=4), st.text(alphabet="abc> \n{}\"'"))
def test_any_arguments_survive_the_way(arguments: dict[str, object], around: str) -> None:
    written = json.dumps(arguments)
    found = find_orders(f"{around} CALL some_tool {written} {around}")
    assert json.loads(found[0].arguments) == arguments


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    find_orders(text)
    find_orders("CALL a {" + text)
    filled("{{a}}{{a|url}}{{a|base64}}{{a.b}}" + text.replace("{", ""), {"a": [text]})
