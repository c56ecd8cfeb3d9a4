"""The parts an image is put together from: sources, trees, layers, wheels."""

import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from trilemma.errors import SandboxError
from trilemma.sandbox.images.archive import Layer, configuration
from trilemma.sandbox.images.rootfs.layer import write_layer
from trilemma.sandbox.images.rootfs.sources import debian_sources
from trilemma.sandbox.images.rootfs.tree import Tree, merged
from trilemma.sandbox.images.site import SITE, add_wheel


def apt_folder(root: Path, *, one_line: str = "", deb822: str = "") -> Path:
    """An /etc/apt of a Debian 13 host."""
    etc = root / "etc" / "apt"
    (etc / "sources.list.d").mkdir(parents=True)
    (etc.parent / "os-release").write_text("ID=debian\nVERSION_CODENAME=trixie\n")
    (etc / "sources.list").write_text(one_line)
    (etc / "sources.list.d" / "debian.sources").write_text(deb822)
    return etc


def test_the_hosts_mirror_is_used_for_our_release(tmp_path: Path) -> None:
    text = (
        "Types: deb\nURIs: http://mirror.internal/debian\nSuites: trixie trixie-updates\n"
        "Components: main contrib\nSigned-By: /keys/a.gpg\n\n"
        "Types: deb\nURIs: http://mirror.internal/security\nSuites: trixie-security\n"
        "Components: main\nSigned-By:\n -----BEGIN-----\n .\n abc\n"
    )
    assert debian_sources(apt_folder(tmp_path, deb822=text)).split("\n\n") == [
        "Types: deb\nURIs: http://mirror.internal/debian\nSuites: bookworm bookworm-updates\n"
        "Components: main\nSigned-By: /keys/a.gpg",
        "Types: deb\nURIs: http://mirror.internal/security\nSuites: bookworm-security\n"
        "Components: main\nSigned-By: \n -----BEGIN-----\n .\n abc\n",
    ]


def test_a_source_on_one_line_is_used_too(tmp_path: Path) -> None:
    line = "deb [arch=amd64 signed-by=/keys/b.gpg] http://mirror.internal/debian bookworm main # x"
    assert debian_sources(apt_folder(tmp_path, one_line=line)) == (
        "Types: deb\nURIs: http://mirror.internal/debian\nSuites: bookworm\n"
        "Components: main\nSigned-By: /keys/b.gpg\n"
    )


@pytest.mark.parametrize(
    "line",
    [
        "deb http://vendor.internal/apt trixie stable",
        "deb http://vendor.internal/apt vendor main",
        "deb-src http://mirror.internal/debian trixie main",
        "# deb http://mirror.internal/debian trixie main",
    ],
)
def test_nobody_elses_packages_get_in(tmp_path: Path, line: str) -> None:
    with pytest.raises(SandboxError, match=r"names no Debian source with component 'main'$"):
        debian_sources(apt_folder(tmp_path, one_line=line))


def test_a_disabled_source_is_not_used(tmp_path: Path) -> None:
    text = "Enabled: no\nTypes: deb\nURIs: http://m/\nSuites: trixie\nComponents: main\n"
    with pytest.raises(SandboxError, match=r"names no Debian source"):
        debian_sources(apt_folder(tmp_path, deb822=text))


@given(mode=st.integers(0, 0o7777))
def test_no_file_of_a_package_keeps_special_bits(
    mode: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tree = Tree(tmp_path_factory.mktemp("tree"))
    tree.add("usr/bin/x", b"", mode)
    [entry] = [each for each in tree.entries() if not each.folder]
    assert entry.mode & 0o7022 == 0
    assert entry.mode & 0o755 == mode & 0o755


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x"])
def test_a_path_that_leaves_the_image_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(SandboxError, match=r"^a package holds a path that leaves the image"):
        Tree(tmp_path / "tree").add(path, b"")
    assert not (tmp_path / "x").exists()


def test_no_file_is_written_through_a_link_of_a_package(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    tree = Tree(tmp_path / "tree")
    tree.link("usr/lib/x", str(outside))
    tree.add("usr/lib/x/planted", b"")
    assert not list(outside.iterdir())


def test_a_layer_depends_on_content_alone(tmp_path: Path) -> None:
    digests = set()
    for order in (("a", "b"), ("b", "a")):
        tree = Tree(tmp_path / "".join(order))
        for name in order:
            tree.add(f"usr/{name}", name.encode(), 0o755)
        tree.link("bin", "usr/bin")
        digests.add(write_layer(tree, tmp_path / "layer.tar"))
    assert len(digests) == 1
    with tarfile.open(tmp_path / "layer.tar") as layer:
        assert [(m.name, m.uid, m.gid, m.mtime) for m in layer] == [
            (name, 0, 0, 1_700_000_000) for name in ("bin", "usr", "usr/a", "usr/b")
        ]


def test_the_same_layers_give_the_same_configuration() -> None:
    layers = [Layer(Path("here"), "sha256:1"), Layer(Path("there"), "sha256:2")]
    elsewhere = [Layer(Path("x"), "sha256:1"), Layer(Path("y"), "sha256:2")]
    assert configuration(layers, "id") == configuration(elsewhere, "id")
    assert configuration(layers, "id") != configuration(layers[::-1], "id")


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("./bin/sh", "usr/bin/sh"),
        ("./lib64/ld.so", "usr/lib64/ld.so"),
        ("./usr/bin/x", "usr/bin/x"),
        ("./library/x", "library/x"),
        ("./", ""),
    ],
)
def test_old_paths_of_packages_go_below_usr(path: str, place: str) -> None:
    assert merged(path) == place


def test_a_wheel_is_laid_out_as_an_installer_would(tmp_path: Path) -> None:
    wheel = tmp_path / "thing-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("thing/__init__.py", "def go(): return 3")
        archive.writestr("thing-1.data/scripts/old", "#!python\nprint(1)\n")
        archive.writestr("thing-1.data/data/share/x", "x")
        archive.writestr(
            "thing-1.dist-info/entry_points.txt", "[console_scripts]\nThing = thing:go\n"
        )
    tree = Tree(tmp_path / "tree")
    add_wheel(tree, wheel)
    modes = {entry.path: entry.mode for entry in tree.entries() if not entry.folder}
    assert modes == {
        f"{SITE}/thing/__init__.py": 0o644,
        f"{SITE}/thing-1.dist-info/entry_points.txt": 0o644,
        "usr/local/bin/old": 0o755,
        "usr/local/bin/Thing": 0o755,
        "usr/local/share/x": 0o644,
    }
    assert tree.content("usr/local/bin/old").startswith(b"#!/usr/bin/python3\n")
    assert b"from thing import go\nsys.exit(go())" in tree.content("usr/local/bin/Thing")


@pytest.mark.parametrize(
    "name", ["../evil.py", "thing-1.data/unknown/x", "thing-1.data/data/../../x"]
)
def test_a_wheel_cannot_put_files_elsewhere(tmp_path: Path, name: str) -> None:
    wheel = tmp_path / "thing-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(name, "x")
    with pytest.raises(SandboxError, match=r"(leaves the image|unknown place)"):
        add_wheel(Tree(tmp_path / "tree"), wheel)
