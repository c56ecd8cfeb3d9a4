"""A policy bundle: Rego modules and their data, with one digest over all of it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from trilemma.errors import SpecError

from .operator import OperatorPolicy

ORGANISATION = "organisation"
PLACEHOLDER = "base/organisation/organisation.rego"
_MAX_MODULE = 256 * 1024
_MAX_MODULES = 200


@dataclass(frozen=True)
class Bundle:
    """What a policy engine loads. Two bundles with one digest decide alike."""

    modules: Mapping[str, str]
    """Rego text by the path it is known under."""
    data: Mapping[str, Any]

    @classmethod
    def base(cls) -> "Bundle":
        """The policy that is shipped, with the default operator's policy."""
        root = resources.files(__package__) / "rego"
        modules = {path: file.read_text(encoding="utf-8") for path, file in _shipped(root, "base")}
        return cls(modules, {"operator": OperatorPolicy().as_data()})

    def with_operator(self, policy: OperatorPolicy) -> "Bundle":
        """The same modules with this operator's policy, and the refusals it names."""
        bundle = replace(self, data={**self.data, "operator": policy.as_data()})
        return bundle if policy.rego is None else bundle.with_directory(policy.rego)

    def with_directory(self, path: Path) -> "Bundle":
        """A bundle with an organisation's own refusals added.

        They are checked before they are taken, by loading and asking them.

        Raises:
            SpecError: the folder or a file in it cannot be used.

        """
        from .regorus import check_organisation

        added = _organisation_modules(path)
        bundle = replace(self, modules={**self.modules, **added})
        check_organisation(bundle, added)
        return bundle

    def without(self, module: str) -> "Bundle":
        """The same bundle less one module."""
        return replace(self, modules={k: v for k, v in self.modules.items() if k != module})

    @cached_property
    def digest(self) -> str:
        """``sha256:...`` over the paths, the texts and the data, and nothing else."""
        files = {path: _sha256(text) for path, text in self.modules.items()}
        return f"sha256:{_sha256(_canonical({'files': files, 'data': self.data}))}"

    @cached_property
    def data_json(self) -> str:
        """The data as canonical JSON."""
        return _canonical(self.data)


def _shipped(folder: Traversable, path: str) -> list[tuple[str, Traversable]]:
    found: list[tuple[str, Traversable]] = []
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if entry.is_dir():
            found += _shipped(entry, f"{path}/{entry.name}")
        elif is_policy(entry.name):
            found.append((f"{path}/{entry.name}", entry))
    return found


def is_policy(name: str) -> bool:
    """Whether a file of this name is part of a policy; tests are not."""
    return name.endswith(".rego") and not name.endswith("_test.rego")


def _organisation_modules(path: Path) -> dict[str, str]:
    try:
        files = sorted(p for p in path.rglob("*.rego") if is_policy(p.name))
        if not path.is_dir():
            raise SpecError(f"there is no policy folder {str(path)!r}")
        if not files or len(files) > _MAX_MODULES:
            raise SpecError(
                f"{str(path)!r} holds {len(files)} Rego files; 1 to {_MAX_MODULES} work"
            )
        return {f"{ORGANISATION}/{p.relative_to(path).as_posix()}": _text(p) for p in files}
    except OSError as error:
        raise SpecError(f"cannot read policy folder {str(path)!r}: {error.strerror}") from error


def _text(path: Path) -> str:
    with path.open("rb") as file:
        raw = file.read(_MAX_MODULE + 1)
    if len(raw) > _MAX_MODULE:
        raise SpecError(f"{path}: larger than {_MAX_MODULE} bytes")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: not UTF-8 text at byte {error.start}") from None


def _canonical(value: Any) -> str:
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
