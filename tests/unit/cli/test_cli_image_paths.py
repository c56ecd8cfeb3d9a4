"""A program's path inside an image, with the links on the way followed there and nowhere else."""

import pytest

from trilemma.cli.shipping import resolve
from trilemma.sandbox.images.inventory import Item


def link(path: str, target: str) -> Item:
    return Item(path, 0o777, (0, 0), "link", target)


def file(path: str) -> Item:
    return Item(path, 0o755, (0, 0), "file", "ab" * 32, program=True)


ITEMS = {
    item.path: item
    for item in (
        link("/bin", "usr/bin"),
        link("/usr/bin/sh", "dash"),
        link("/usr/bin/up", "../lib/tool"),
        link("/usr/bin/out", "../../../../usr/lib/tool"),
        link("/usr/bin/round", "round"),
        file("/usr/bin/dash"),
        file("/usr/lib/tool"),
    )
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/usr/bin/dash", "/usr/bin/dash"),
        ("/bin/sh", "/usr/bin/dash"),
        ("/bin/up", "/usr/lib/tool"),
        ("/bin/out", "/usr/lib/tool"),
    ],
)
def test_links_lead_to_the_file(path: str, found: str) -> None:
    item = resolve(ITEMS, path)
    assert item is not None
    assert item.path == found


@pytest.mark.parametrize("path", ["/usr/bin/round", "/usr/bin/nothing"])
def test_a_loop_or_a_missing_file_leads_nowhere(path: str) -> None:
    assert resolve(ITEMS, path) is None
