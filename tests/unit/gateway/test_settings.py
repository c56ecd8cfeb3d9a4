import pytest

from trilemma.errors import SpecError
from trilemma.gateway.settings import Settings


def test_how_many_sandboxes_there_may_be() -> None:
    assert Settings.from_environment({}).sandboxes == 128
    assert Settings.from_environment({"TRILEMMA_SANDBOXES": "3"}).sandboxes == 3


@pytest.mark.parametrize("wrong", ["", "0", "-1", "many", "1.5", "²"])
def test_a_number_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(SpecError, match="TRILEMMA_SANDBOXES"):
        Settings.from_environment({"TRILEMMA_SANDBOXES": wrong})
