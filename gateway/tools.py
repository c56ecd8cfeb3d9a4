"""A tool as the gateway knows it: what it needs, how it is run, and its pinned identity."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..inference.messages import FunctionTool
from ..policy.capability import ALL, CapabilitySet, ordered
from ..policy.request import ToolFacts
from ..sandbox.base import BuiltinEntry, ModuleEntry
from ..sandbox.spec import ToolModule
from .schemas import CommandTool

Runner = BuiltinEntry | ModuleEntry | CommandTool
"""How a call of the tool becomes a call of a sandbox."""


@dataclass(frozen=True)
class ToolDefinition:
    """One tool. Its identity changes whenever anything that a model or a person trusted does."""

    name: str
    description: str
    parameters: dict[str, Any]
    """JSON Schema of the arguments."""
    declared: CapabilitySet | None
    """None where nobody declared the needs."""
    runner: Runner
    source: str = ""
    """Hash of its source, where we ship it."""
    module: ToolModule | None = None
    takes_grants: bool = False
    """True for tools that run whatever they are given: they get the session's pair."""

    @property
    def needs(self) -> CapabilitySet:
        """What a call uses. A tool without a declaration needs all three."""
        return ALL if self.declared is None else self.declared

    @cached_property
    def identity(self) -> str:
        """``sha256:`` over name, description, schema, needs and source."""
        parts = {
            "name": self.name,
            "description": self.description,
            "parameters": self.parameters,
            "needs": None if self.declared is None else [str(c) for c in ordered(self.declared)],
            "runner": _runner_identity(self.runner),
            "source": self.source,
        }
        text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()

    @property
    def facts(self) -> ToolFacts:
        """The tool as the policy sees it."""
        return ToolFacts(self.name, self.identity, declared=self.declared is not None)

    @property
    def offer(self) -> FunctionTool:
        """The tool as a model sees it."""
        return FunctionTool(self.name, self.description, self.parameters)


def _runner_identity(runner: Runner) -> Any:
    match runner:
        case BuiltinEntry(name=name):
            return ["builtin", name]
        case ModuleEntry(module=module, function=function):
            return ["module", module, function]
        case CommandTool():
            return ["command", runner.model_dump(mode="json")]
