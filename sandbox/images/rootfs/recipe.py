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

BASE = Recipe(
    packages=("python3", "libc-bin", "media-types", "netbase", "tzdata"),
    without=(
        *_CONFIGURATION,
        "libacl1",
        "libmd0",
        "libpcre2-8-0",
        "libselinux1",
        "libzstd1",
        "perl-base",
        "tar",
    ),
    dropped=(
        *_DOCUMENTS,
        *_STDLIB,
        *_SYSTEM,
        "usr/bin/2to3",
        "usr/lib/python3/",
        "usr/lib/python3.11/distutils/",
        "usr/lib/valgrind/",
        "usr/sbin/",
        "usr/share/gdb/",
        "usr/share/python3/",
    ),
    executables=("usr/bin/python3.11", "usr/lib/*/ld-linux-*.so.*"),
)

CODE = Recipe(
    packages=(
        *BASE.packages,
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
