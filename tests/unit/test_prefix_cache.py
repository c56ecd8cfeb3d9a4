"""The cache that benchmarks and tests count with, against the plainest one there is."""

from itertools import takewhile

from benchmarks.prefixcache import PrefixCache, as_read
from hypothesis import given, strategies as st

TOKENS = st.lists(st.integers(0, 2), max_size=8)
READS = st.lists(st.tuples(st.sampled_from("ab"), TOKENS), max_size=8)


@given(READS)
def test_it_knows_what_was_read_under_the_same_salt(
    reads: list[tuple[str, list[int]]],
) -> None:
    cache = PrefixCache()
    before: list[tuple[str, list[int]]] = []
    for salt, tokens in reads:
        shared = [common(tokens, other) for its, other in before if its == salt]
        assert cache.known(salt, tokens) == max(shared, default=0)
        cache.add(salt, tokens)
        before.append((salt, tokens))


def common(one: list[int], other: list[int]) -> int:
    """How many tokens two lists begin with alike."""
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return len(list(pairs))


def test_a_request_is_read_instructions_first_then_tools_then_the_rest() -> None:
    function = {"name": "search", "arguments": "{}"}
    request = {
        "messages": [
            {"role": "system", "content": "S"},
            {"role": "user", "content": "U"},
            {"role": "assistant", "content": None, "tool_calls": [{"function": function}]},
        ],
        "tools": [{"name": "T"}],
    }
    text = as_read(request)
    places = [text.index(part) for part in ("S<", '"T"', "U<", '"search"')]
    assert places == sorted(places)
