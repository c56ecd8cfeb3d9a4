"""An agent with an image of somebody else's: named by what it is, or not taken."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.integration.foreign import images
from tests.integration.foreign.images import File

from trilemma.errors import ImageMissing, SpecError

pytestmark = [pytest.mark.docker, pytest.mark.root]

Make = Callable[..., Any]


@pytest.fixture(scope="module")
def foreign() -> Iterator[str]:
    """A shell and nothing else; its entry point would never end."""
    files = [File("usr/bin/sh", link="busybox")]
    layer = images.debian("busybox-static")
    with images.image('ENTRYPOINT ["/bin/sh"]', layers=[layer], files=files) as made:
        yield made


def test_code_finds_the_images_programs_and_files_need_none(gate: Make, foreign: str) -> None:
    session = gate().open(
        "run_code", "list_files", grants=["files", "code"], files=True, image=foreign
    )
    assert "a.txt" in session.ok("list_files", path=".")
    assert session.ok("run_code", language="shell", code="busybox | head -1").startswith("BusyBox")
    refused = session.call("run_code", language="python", code="print()")
    assert "this sandbox's image has no python3" in refused.text


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("debian:12", SpecError),
        ("sha256:" + "0" * 64, ImageMissing),
        ("debian@sha256:" + "0" * 64, ImageMissing),
    ],
)
def test_a_tag_or_what_is_not_here_is_refused(
    gate: Make, name: str, error: type[Exception]
) -> None:
    with pytest.raises(error, match=r"^image '"):
        gate().open("run_code", grants=["code"], image=name)
