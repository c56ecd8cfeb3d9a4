"""A little of ``python -m tests.soak.longrun``; and a call that is made twice would be noticed."""

from typing import Any

import pytest
from tests.soak.longrun import LongRun, place

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.slow]


def test_a_run_outlives_its_gateways_and_repeats_no_call(
    engine: Any, base_image: str, code_image: str
) -> None:
    with place() as root:
        report = LongRun(root, steps=200, kills=3, seed=7).work()
    assert (report.state, report.steps, report.twice) == ("done", 200, 0)
    assert report.hours >= 24
    assert report.kept_kb < 200
    assert report.rss_last_mb < report.rss_first_mb + 30


def test_sabotage_a_call_that_is_made_twice_is_noticed(
    engine: Any, base_image: str, code_image: str
) -> None:
    """Each gateway dies in the middle of a call, and the next knows nothing of it."""
    with place() as root:
        report = LongRun(root, steps=6, kills=2, seed=7, pause=0.3, sabotaged=True).work()
    assert report.twice == 2
