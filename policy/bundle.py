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

from .engine import ENTRYPOINT
from .loading import complaint, load
from .operator import OperatorPolicy
from .organisation import is_policy, read_organisation


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
        """A bundle with an organisation's own refusals added. They can only forbid more.

        Raises:
            SpecError: the folder or a file in it cannot be used.

        """
        bundle = replace(self, modules={**self.modules, **read_organisation(path)})
        bundle.try_out()
        return bundle

    def try_out(self) -> None:
        """Load and ask once, so that what cannot work is refused here and not at each call.

        Raises:
            SpecError: it does not load, or fails.

        """
        engine = load(self.modules, self.data_json)
        try:
            engine.set_input_json("{}")
            engine.eval_rule_as_json(ENTRYPOINT)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic in Rust is not an Exception
            raise SpecError(f"the policy does not work: {complaint(error)}") from None

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


def _canonical(value: Any) -> str:
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
