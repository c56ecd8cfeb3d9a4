from hypothesis import given, strategies as st

from trilemma.sandbox.idmap import Extent, swapped

IDS = st.integers(0, 700)


def mapping(text: str) -> dict[int, int]:
    found = {}
    for line in text.splitlines():
        inside, outside, count = map(int, line.split())
        found.update({inside + n: outside + n for n in range(count)})
    return found


@given(first=IDS, second=IDS)
def test_two_ids_change_places_and_all_others_stay(first: int, second: int) -> None:
    found = mapping(swapped([Extent(0, 600), Extent(650, 100)], first, second))
    ids = {*range(600), *range(650, 750)}
    exchange = {first: second, second: first}
    assert found == {n: exchange.get(n, n) for n in ids}


def test_whole_range_of_the_kernel_is_a_handful_of_lines() -> None:
    assert swapped([Extent(0, 4_294_967_295)], 0, 64101) == (
        "0 64101 1\n1 1 64100\n64101 0 1\n64102 64102 4294903193\n"
    )
