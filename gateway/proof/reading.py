"""From agents' files to a design: one domain for each root and each mediated sub-agent."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from trilemma.errors import SpecError

from ...inference.names import model_ref
from ...policy.capability import ALL, Capability, CapabilitySet
from ...policy.operator import OperatorPolicy
from ...policy.request import ModelFacts
from ..agentfile import load_agent
from ..models import model_needs
from ..schemas import AgentSpec, own_domains
from ..teamspec import AttenuatedSpec, ChildSpec, MediatedSpec
from ..workspaces.opening import Origin
from .design import Act, Design, Flow, How, Place
from .toolneeds import Needed, tools_of

_FILES: CapabilitySet = frozenset({Capability.FILES})


def read_team(path: Path) -> list[AgentSpec]:
    """The agents of a file or a folder that nobody else there calls.

    Raises:
        SpecError: there is none, or a file is not an agent.
    """
    if not path.is_dir():
        return [load_agent(path)]
    files = sorted(file for file in path.iterdir() if file.suffix in (".yaml", ".yml"))
    agents = [load_agent(file) for file in files if file.stem != "policy"]
    called = {spec.file for agent in agents for spec in _all(own_domains(agent.agents))}
    roots = [agent for agent in agents if agent.file not in called]
    if not roots:
        raise SpecError(f"{str(path)!r} holds no agent; an agent is a .yaml file")
    names = Counter(agent.name for agent in roots)
    return [
        agent if names[agent.name] == 1 else agent.model_copy(update={"name": _stem(agent)})
        for agent in roots
    ]


def _stem(agent: AgentSpec) -> str:
    return agent.name if agent.file is None else f"{agent.name} ({agent.file.stem})"


def read_design(roots: Iterable[AgentSpec], policy: OperatorPolicy) -> Design:
    """The design of agents that one principal runs, each in a domain of its own.

    A layer's changes count as applied: a person who applies them is what layers are for.

    Raises:
        SpecError: there is no such model or tool, or a tool file cannot be read.
    """
    roots = list(roots)
    reader = _Reader(policy, _outermost(roots))
    for spec in roots:
        reader.domain(spec, spec.name)
    return Design(tuple(reader.places), tuple(reader.acts), tuple(reader.flows))


@dataclass
class _Reader:
    policy: OperatorPolicy
    folders: dict[Path, Path]
    """A folder below another is a part of that."""
    places: list[Place] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    flows: list[Flow] = field(default_factory=list)

    def domain(self, spec: AgentSpec, name: str) -> Place:
        here = Place(name, domain=True, grants=spec.granted)
        self.places.append(here)
        tools = [t for t in tools_of(spec) if spec.granted is None or t.needs <= spec.granted]
        for tool in tools:
            self._act(here, tool.needs, How.TOOL, _calls(tool))
        self._model(here, spec.model)
        self._workspace(here, spec, tools)
        for capability in spec.grants or ():
            self._act(here, frozenset({capability}), How.GRANTED, f"is granted {capability}")
        self._children(here, spec.agents, spec.model, spec.granted)
        return here

    def _model(self, here: Place, model: str) -> None:
        needs = model_needs(model_facts(model, self.policy))
        self._act(here, needs, How.MODEL, f"calls {model}, a model outside the trust boundary")

    def _workspace(self, here: Place, spec: AgentSpec, tools: list[Needed]) -> None:
        workspace = spec.workspace
        if workspace is None:
            return
        folder = Place(_shown(self.folders[_path(spec)]), domain=False)
        if folder not in self.places:
            self.places.append(folder)
        self._act(here, _FILES, How.OPENS, f"opens {folder.name}")
        text = f"{folder.name} was written by strangers"
        if label := Origin(workspace.origin or Origin.OWN).label:
            self.acts.append(Act(folder, label, How.ORIGIN, text))
        reads = f"{here.name} reads what is in {folder.name}"
        self.flows.append(Flow(folder, here, How.READS, reads))
        if workspace.mode == "direct":
            text = f"{here.name} may write to {folder.name}"
            self.flows.append(Flow(here, folder, How.WRITES, text))
        elif workspace.mode == "layer" and any(tool.may_write for tool in tools):
            text = f"the changes of {here.name} are applied to {folder.name}"
            self.flows.append(Flow(here, folder, How.APPLIED, text))

    def _children(
        self,
        here: Place,
        children: tuple[ChildSpec, ...],
        model: str,
        share: CapabilitySet | None,
    ) -> None:
        for child in children:
            if isinstance(child, AttenuatedSpec):
                # In the same domain; its tools are some of its parent's.
                own, has = child.model or model, share if child.granted is None else child.granted
                self._model(self._beside(here, child, has), own)
                self._children(here, child.agents, own, has)
            else:
                self._mediated(here, child)

    def _beside(self, here: Place, child: AttenuatedSpec, has: CapabilitySet | None) -> Place:
        """Where it calls its model: in its domain, unless its share is too small for that."""
        if has == here.grants or has is None or Capability.INTERNET in has:
            return here
        there = Place(f"{here.name}/{child.agent}", domain=True, grants=has)
        if there not in self.places:
            self.places.append(there)
        return there

    def _mediated(self, here: Place, child: MediatedSpec) -> None:
        spec = child.spec
        assert spec is not None
        there = self.domain(spec, f"{here.name}/{child.agent}")
        if child.asks.free:
            text = f"{here.name} hands free text to {there.name}"
            self.flows.append(Flow(here, there, How.ASKS, text))
        if child.answers.free:
            text = f"{there.name} answers {here.name} in free text"
            self.flows.append(Flow(there, here, How.ANSWERS, text))
            if spec.granted is None:
                # Nobody knows at the time of the call what it will have read by its end.
                text = f"{text}, and has no grants: it may hold any two by then"
                self.acts.append(Act(here, ALL, How.ANSWERS, text))

    def _act(self, here: Place, brings: CapabilitySet, how: How, text: str) -> None:
        if brings:
            self.acts.append(Act(here, brings, how, f"{here.name} {text}"))


def _calls(tool: Needed) -> str:
    why = "" if tool.declared else ", which declares no needs and so counts as all three"
    return f"calls {tool.name}{why}"


def _path(spec: AgentSpec) -> Path:
    assert spec.workspace is not None
    return (spec.base / Path(spec.workspace.path).expanduser()).resolve()


def folders_of(roots: Iterable[AgentSpec]) -> dict[str, str]:
    """By the path as each agent names it: the outermost folder that it is, or is a part of."""
    outermost = _outermost(roots)
    return {
        str(spec.base / spec.workspace.path): _shown(outermost[_path(spec)])
        for spec in _all(roots)
        if spec.workspace is not None
    }


def model_facts(name: str, policy: OperatorPolicy) -> ModelFacts:
    """The model behind a name, as policy sees it.

    Raises:
        SpecError: there is no such model.
    """
    ref = model_ref(name)
    return ModelFacts(ref.provider, ref.inside, ref.provider in policy.providers.under_contract)


def _shown(folder: Path) -> str:
    here = Path.cwd()
    return str(folder.relative_to(here) if folder.is_relative_to(here) else folder)


def _outermost(roots: Iterable[AgentSpec]) -> dict[Path, Path]:
    paths = sorted({_path(spec) for spec in _all(roots) if spec.workspace is not None})
    found: dict[Path, Path] = {}
    for path in paths:
        found[path] = next((found[p] for p in path.parents if p in found), path)
    return found


def _all(roots: Iterable[AgentSpec]) -> Iterator[AgentSpec]:
    for spec in roots:
        yield spec
        yield from _all(own_domains(spec.agents))
