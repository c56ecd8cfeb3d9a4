"""An organisation's own refusals in Rego: reading them, and holding them to refusing."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trilemma.errors import SpecError

from .loading import load
from .purity import impure

PACKAGE = "organisation"
_MAX_MODULE = 256 * 1024
_MAX_MODULES = 200


def is_policy(name: str) -> bool:
    """Whether a file of this name is part of a policy; tests are not."""
    return name.endswith(".rego") and not name.endswith("_test.rego")


def read_organisation(path: Path) -> dict[str, str]:
    """The Rego files below a folder, by the path they are known under.

    Raises:
        SpecError: the folder or a file in it cannot be read, or may do more than refuse.

    """
    try:
        files = sorted(p for p in path.rglob("*.rego") if is_policy(p.name))
        if not path.is_dir():
            raise SpecError(f"there is no policy folder {str(path)!r}")
        if not files or len(files) > _MAX_MODULES:
            raise SpecError(
                f"{str(path)!r} holds {len(files)} Rego files; 1 to {_MAX_MODULES} work"
            )
        modules = {f"{PACKAGE}/{p.relative_to(path).as_posix()}": _text(p) for p in files}
    except OSError as error:
        raise SpecError(f"cannot read policy folder {str(path)!r}: {error.strerror}") from error
    _check(modules)
    return modules


def _text(path: Path) -> str:
    with path.open("rb") as file:
        raw = file.read(_MAX_MODULE + 1)
    if len(raw) > _MAX_MODULE:
        raise SpecError(f"{path}: larger than {_MAX_MODULE} bytes")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: not UTF-8 text at byte {error.start}") from None


def _check(modules: Mapping[str, str]) -> None:
    refusals = 0
    for path, text in modules.items():
        engine = load({path: text})
        (package,) = engine.get_packages()
        if package != f"data.{PACKAGE}" and not package.startswith(f"data.{PACKAGE}."):
            raise SpecError(
                f"{path}: package {package.removeprefix('data.')!r} is not yours to write; "
                f"begin the file with 'package {PACKAGE}'"
            )
        ast = json.loads(engine.get_ast_as_json())
        if (asked := next(impure(ast), None)) is not None:
            raise SpecError(
                f"{path}: {asked!r} has another answer each time; a policy sees only the facts "
                "of the act (input) and its own data"
            )
        if package == f"data.{PACKAGE}":
            refusals += sum(_refusals(path, ast))
    if not refusals:
        raise SpecError(
            f'{", ".join(modules)}: nothing is refused; write: deny contains "some_code" if ...'
        )


def _refusals(path: str, modules: list[dict[str, Any]]) -> Iterator[bool]:
    """True for each rule that adds to ``deny``. Any other use of that name is a mistake."""
    for rule in modules[0]["ast"]["rules"]:
        ((_, body),) = rule.items()
        ((kind, head),) = body.get("head", {"Default": body}).items()
        reference = head["refr"]
        if _base_name(reference) != "deny":
            continue
        if kind != "Set" or "Var" not in reference:
            raise SpecError(
                f'{path}: "deny" is a set of codes; write: deny contains "some_code" if ...'
            )
        yield True


def _base_name(reference: dict[str, Any]) -> str:
    ((kind, inner),) = reference.items()
    return str(inner["value"]) if kind == "Var" else _base_name(inner["refr"])
