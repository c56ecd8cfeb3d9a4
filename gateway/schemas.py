"""What an agent is, as data: the one schema behind the Python class and the YAML file."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from ..policy.capability import CapabilitySet
from ..policy.operator import HostRule
from .narrowing import Access, Share
from .specparts import Frozen, Grants, Needs, RunLimitsSpec, ToolName
from .teamspec import AttenuatedSpec, ChildSpec, MediatedSpec, TeamLimitsSpec, check_team
from .toolschema import check_parameters

MAX_DESCRIPTION = 16 * 1024
"""Characters of a tool's description: every model call carries it."""
PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")


class ArgumentSpec(Frozen):
    """One typed argument of a command-line tool."""

    type: Literal["string", "integer", "number", "boolean"]
    description: str = ""
    pattern: str | None = None
    """Strings only: a regular expression that the whole value must match."""
    enum: tuple[str, ...] | None = None
    minimum: float | None = None
    """Numbers only; 0 without it, since a program may read ``-5`` as an option."""
    maximum: float | None = None
    max_length: int = Field(default=4096, ge=1, le=65536)
    required: bool = True
    flag: str | None = None
    """Booleans only: the word that stands in argv when the value is true."""

    @model_validator(mode="after")
    def _fits_its_type(self) -> "ArgumentSpec":
        if self.type != "string" and (self.pattern is not None or self.enum is not None):
            raise ValueError(f"pattern and enum are for strings, not {self.type!r}")
        if (self.type == "boolean") != (self.flag is not None):
            raise ValueError("a boolean argument needs 'flag', and only a boolean takes one")
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except re.error as error:
                raise ValueError(f"pattern {self.pattern!r} is not valid: {error}") from None
        return self


class CommandTool(Frozen):
    """A vetted command-line program: one pinned file, typed arguments, argv only, no shell."""

    command: ToolName
    """The tool's name."""
    description: str
    executable: Annotated[str, Field(pattern=r"^/[^\x00]+$")]
    """Absolute path inside the image."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Hash of that file. ``trilemma image hash PATH`` prints it."""
    needs: Needs | None = None
    """Without a declaration the tool counts as needing all three."""
    argv: tuple[str, ...] = ()
    """Words after argv[0]. ``{name}`` is replaced by that argument, within one word."""
    arguments: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], ArgumentSpec] = Field(
        default_factory=dict
    )
    stdin: str | None = None
    """Name of a string argument that is given on standard input."""

    @model_validator(mode="after")
    def _words_and_arguments_agree(self) -> "CommandTool":
        used = {name for word in self.argv for name in PLACEHOLDER.findall(word)}
        used |= {self.stdin} if self.stdin else set()
        for name in sorted(used - self.arguments.keys()):
            raise ValueError(f"argv or stdin names {name!r}, which is not among the arguments")
        for name in sorted(self.arguments.keys() - used):
            raise ValueError(f"argument {name!r} is used neither in argv nor on stdin")
        return self


class ModuleTools(Frozen):
    """Every ``@tool`` function of a Python file. It is imported inside a sandbox only."""

    module: str
    """Path of the file, relative to the agent's own file."""


class PythonTool(Frozen):
    """A Python function whose body runs inside the sandbox, shipped as source."""

    name: ToolName
    description: Annotated[str, Field(max_length=MAX_DESCRIPTION)]
    needs: Needs | None
    parameters: dict[str, Any]
    """JSON Schema of the arguments."""
    source: str
    """A module that defines ``function``; compiled in the sandbox only."""
    function: str

    @field_validator("parameters")
    @classmethod
    def _plain_parameters(cls, value: dict[str, Any]) -> dict[str, Any]:
        check_parameters(value)
        return value


def _kind_of_tool(value: Any) -> str | None:
    if isinstance(value, str):
        return "name"
    kinds = ("command", "module", "source")
    if isinstance(value, dict):
        return next((kind for kind in kinds if kind in value), None)
    return next((kind for kind in kinds if hasattr(value, kind)), None)


def _kind_of_host(value: Any) -> str:
    return "name" if isinstance(value, str) else "rule"


ToolSpec = Annotated[
    Annotated[str, Tag("name")]
    | Annotated[CommandTool, Tag("command")]
    | Annotated[ModuleTools, Tag("module")]
    | Annotated[PythonTool, Tag("source")],
    Discriminator(
        _kind_of_tool,
        custom_error_type="tool",
        custom_error_message="a tool is a name, or has 'command: NAME' or 'module: FILE.py'",
    ),
]
HostSpec = Annotated[
    Annotated[str, Tag("name")] | Annotated[HostRule, Tag("rule")], Discriminator(_kind_of_host)
]


class WorkspaceSpec(Frozen):
    """The folder that the agent's files tools work on."""

    path: str
    """Relative to the agent's own file, or absolute."""
    origin: Literal["own", "strangers"] | None = None
    """``strangers`` where others wrote it (mail, downloads, a fork): it carries ``internet``.
    Without a declaration it counts as own work, and the first run says so."""
    mode: Literal["layer", "direct", "snapshot"] = "layer"
    """``layer``: the folder stays as it is, changes lie in a layer. ``direct``: it is mounted.
    ``snapshot``: a copy of this moment, for reading, whoever has the folder open meanwhile."""


class SandboxLimitsSpec(Frozen):
    """Sizes in MiB. What happens when each is hit stands in ``sandbox/limits.py``."""

    memory_mb: int = Field(default=512, ge=64, le=65536)
    processes: int = Field(default=128, ge=8, le=4096)
    cpus: float = Field(default=1.0, gt=0, le=64)
    scratch_mb: int = Field(default=64, ge=1, le=16384)
    call_seconds: float = Field(default=60.0, gt=0, le=3600)
    layer_mb: int = Field(default=1024, ge=1)


class AgentSpec(Frozen):
    """An agent: instructions, a model, tools, a workspace, limits and grants."""

    version: Literal[1] = 1
    name: ToolName = "agent"
    instructions: str = ""
    model: str
    grants: Grants | None = None
    """At most two. Without it the first two that are used latch."""
    tools: tuple[ToolSpec, ...] = ()
    workspace: WorkspaceSpec | None = None
    hosts: tuple[HostSpec, ...] | None = None
    """Where the agent may go; a bare name means https on port 443, GET and HEAD. The operator's
    list narrows it. Without any list an agent with {files, internet} goes nowhere, and one with
    {internet, code} to every public address; an empty list lets nobody out."""
    agents: tuple[ChildSpec, ...] = ()
    """Agents that it may call. For its model each is a tool of that name."""
    team: TeamLimitsSpec = TeamLimitsSpec()
    limits: RunLimitsSpec = RunLimitsSpec()
    sandbox: SandboxLimitsSpec = SandboxLimitsSpec()
    image: str | None = None
    """Any Linux image, ``NAME@sha256:...`` or its id: what code agents and vetted commands find
    there. The tool host brings its own interpreter. Without it, the one of Trilemma."""
    base: Path = Field(default=Path("."), exclude=True)
    """The folder that relative paths are read against. Not part of the file."""
    file: Path | None = Field(default=None, exclude=True)
    """Where the agent was read from, if from a file. Not part of it."""

    @field_validator("hosts")
    @classmethod
    def _check_names(
        cls, value: tuple[str | HostRule, ...] | None
    ) -> tuple[str | HostRule, ...] | None:
        for host in value or ():
            _host_rule(host)
        return value

    @model_validator(mode="after")
    def _team_fits(self) -> "AgentSpec":
        named = {name for tool in self.tools if (name := _tool_name(tool))}
        check_team(self.agents, self.share(frozenset(named)), frozenset(named))
        return self

    def share(self, tools: frozenset[str]) -> Share:
        """What it has to hand on; ``tools`` are those whose names are known."""
        known = not any(isinstance(tool, ModuleTools) for tool in self.tools)
        access: Access = "none" if self.workspace is None else "write"
        return Share(self.granted, tools if known else None, access)

    @property
    def destinations(self) -> tuple[HostRule, ...] | None:
        """The hosts as rules; None where the agent gives no list."""
        return None if self.hosts is None else tuple(_host_rule(host) for host in self.hosts)

    @property
    def sources(self) -> tuple[Path, ...]:
        """The files that make this agent what it is: its own, its tools', its sub-agents'."""
        modules = (self.base / tool.module for tool in self.tools if isinstance(tool, ModuleTools))
        own = (self.file,) if self.file is not None else ()
        return (
            *modules,
            *own,
            *(path for agent in own_domains(self.agents) for path in agent.sources),
        )

    @property
    def granted(self) -> CapabilitySet | None:
        """The grants as a set, or None where the first two taken latch."""
        return None if self.grants is None else frozenset(self.grants)


def own_domains(children: tuple[ChildSpec, ...]) -> Iterator[AgentSpec]:
    """The agents of domains of their own that stand below."""
    for child in children:
        if isinstance(child, AttenuatedSpec):
            yield from own_domains(child.agents)
        elif child.spec is not None:
            yield child.spec


def _tool_name(tool: str | CommandTool | ModuleTools | PythonTool) -> str | None:
    match tool:
        case CommandTool():
            return tool.command
        case PythonTool():
            return tool.name
        case ModuleTools():
            return None
        case _:
            return tool


def _host_rule(host: str | HostRule) -> HostRule:
    return HostRule(host=host) if isinstance(host, str) else host


_LATER = {"AgentSpec": AgentSpec}
MediatedSpec.model_rebuild(_types_namespace=_LATER)
AttenuatedSpec.model_rebuild(_types_namespace=_LATER)
AgentSpec.model_rebuild()
