"""What goes into each image, and what is left out."""

from dataclasses import dataclass
from typing import Literal

RELEASE = "bookworm"
"""The Debian release both images are made of, whatever release the host runs."""

EPOCH = 1_700_000_000
"""The time every file of an image carries."""

Kind = Literal["base", "code"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """One image: packages with their dependencies, less what a sandbox must not hold."""

    packages: tuple[str, ...]
    """Named packages; apt adds what they depend on."""
    without: tuple[str, ...]
    """Dependencies that are needed to install or configure a system, not to run in it."""
    dropped: tuple[str, ...]
    """Path prefixes that are left out."""
    executables: tuple[str, ...] | None
    """The only files that keep an execute bit (``*`` within one name); None keeps all."""
    links: tuple[tuple[str, str], ...] = ()
    """Links that packages make in their scripts."""
    certificates: bool = False
    """Whether the certificate bundle is put together."""
    below: str = ""
    """The folder that all of it is put below; the top is a system of its own without it."""


_DOCUMENTS = tuple(
    f"usr/share/{name}/"
    for name in (
        "applications",
        "bash-completion",
        "binfmts",
        "bug",
        "debconf",
        "doc",
        "doc-base",
        "info",
        "lintian",
        "locale",
        "man",
        "menu",
        "pixmaps",
        "zsh",
    )
)
_STDLIB = tuple(
    f"usr/lib/python3.11/{name}"
    for name in (
        "ensurepip/",
        "idlelib/",
        "lib2to3/",
        "pydoc_data/",
        "sitecustomize.py",
        "test/",
        "tkinter/",
        "turtledemo/",
    )
)
_SYSTEM = (
    "etc/apt/",
    "etc/cron",
    "etc/init.d/",
    "etc/pam.d/",
    "etc/python3",
    "etc/update-motd.d/",
    "usr/lib/systemd/",
    "usr/lib/tmpfiles.d/",
    "var/",
)
_CONFIGURATION = (
    "debconf",
    "dpkg",
    "libpam-modules",
    "libpam-modules-bin",
    "libpam-runtime",
    "libpam0g",
    "perl",
    "perl-modules-5.36",
    "libperl5.36",
    "liberror-perl",
)

_TRIPLETS = ("aarch64-linux-gnu", "x86_64-linux-gnu")
_LOADED_BY_NAME = ("engines-3/", "gconv/", "ossl-modules/", "libnss_")

TREE = "opt/trilemma"
"""Where the tool host lies with all it needs, in the base image and in every sandbox."""

BASE = Recipe(
    packages=("python3", "tzdata"),
    without=(
        *_CONFIGURATION,
        *("libacl1", "libmd0", "libpcre2-8-0", "libselinux1", "libzstd1", "media-types"),
        *("perl-base", "readline-common", "tar"),
        # For Python's module ``nis`` alone.
        *("libcom-err2", "libgssapi-krb5-2", "libk5crypto3", "libkeyutils1", "libkrb5-3"),
        *("libkrb5support0", "libnsl2", "libtirpc-common", "libtirpc3"),
    ),
    dropped=(
        *_DOCUMENTS,
        *_STDLIB,
        "etc/",
        *("usr/bin/2to3", "usr/bin/ld.so", "usr/bin/pdb", "usr/bin/py3"),
        *("usr/bin/pydoc", "usr/bin/pygettext", "usr/lib/binfmt.d/"),
        *("usr/lib/locale/", "usr/lib/python3/", "usr/lib/python3.11/distutils/"),
        *("usr/lib/valgrind/", "usr/lib64/", "usr/sbin/", "usr/share/gdb/"),
        *("usr/share/python3/", "usr/share/zoneinfo/posix/", "usr/share/zoneinfo/right/", "var/"),
        # What a library would load later, by a name in somebody's configuration.
        *(f"usr/lib/{triplet}/{name}" for triplet in _TRIPLETS for name in _LOADED_BY_NAME),
        "usr/lib/python3.11/lib-dynload/nis.",
    ),
    executables=("usr/bin/python3.11", "usr/lib/*/ld-linux-*.so.*"),
    below=TREE,
)

CODE = Recipe(
    packages=(
        *("python3", "libc-bin", "media-types", "netbase", "tzdata"),
        *("base-files", "bash", "bzip2", "ca-certificates", "coreutils", "curl", "dash"),
        *("diffutils", "file", "findutils", "gawk", "git", "grep", "gzip", "jq", "less"),
        *(
            "libgomp1",
            "libstdc++6",
            "make",
            "mblaze",
            "ncurses-base",
            "patch",
            "perl-base",
            "procps",
            "ripgrep",
        ),
        *("sed", "tar", "tree", "unzip", "xz-utils", "zip"),
    ),
    without=_CONFIGURATION,
    dropped=(*_DOCUMENTS, *_STDLIB, *_SYSTEM),
    executables=None,
    links=(
        ("usr/bin/awk", "gawk"),
        ("usr/bin/pager", "less"),
        ("usr/bin/which", "which.debianutils"),
    ),
    certificates=True,
)


def recipe(kind: Kind) -> Recipe:
    """The recipe of one of the two images."""
    return {"base": BASE, "code": CODE}[kind]
