"""From a tool and a session to the smallest sandbox that covers the call."""

from dataclasses import dataclass

from ..policy.capability import Capability, CapabilitySet
from ..sandbox.limits import Limits
from ..sandbox.spec import Egress, Exec, Mount, SandboxSpec, ToolModule
from .schemas import CommandTool, SandboxLimitsSpec
from .tools import ToolDefinition

_MIB = 1024 * 1024


@dataclass(frozen=True)
class SandboxPlan:
    """What a session's sandboxes are made of."""

    domain: str
    session: str
    locked_image: str
    """Image id for calls that execute nothing."""
    code_image: str
    limits: Limits
    mount: Mount | None
    executable_mount: Mount | None
    """The same view without ``noexec``, for profiles with code."""
    modules: tuple[ToolModule, ...]

    def spec(self, tool: ToolDefinition, capabilities: CapabilitySet) -> SandboxSpec:
        """The sandbox for a call of ``tool`` that was given ``capabilities``."""
        if self.mount is None:
            # No folder, no power over files: whatever was given, there is nothing to mount.
            capabilities -= {Capability.FILES}
        execution = _execution(tool, capabilities)
        return SandboxSpec(
            capabilities=capabilities,
            exec=execution,
            egress=_egress(capabilities),
            mount=self._mount(capabilities),
            image=self.locked_image if execution is Exec.NEVER else self.code_image,
            limits=self.limits,
            modules=self.modules,
            domain=self.domain,
            session=self.session,
        )

    def _mount(self, capabilities: CapabilitySet) -> Mount | None:
        if Capability.FILES not in capabilities:
            return None
        return self.executable_mount if Capability.CODE in capabilities else self.mount


def _execution(tool: ToolDefinition, capabilities: CapabilitySet) -> Exec:
    if Capability.CODE in capabilities:
        return Exec.FREE
    return Exec.ONCE if isinstance(tool.runner, CommandTool) else Exec.NEVER


def _egress(capabilities: CapabilitySet) -> Egress:
    if Capability.INTERNET not in capabilities:
        return Egress.NONE
    return Egress.TUNNEL if Capability.CODE in capabilities else Egress.STRUCTURED


def limits(spec: SandboxLimitsSpec) -> Limits:
    """The sandbox limits that an agent asks for, in bytes."""
    return Limits(
        memory=spec.memory_mb * _MIB,
        processes=spec.processes,
        cpus=spec.cpus,
        scratch=spec.scratch_mb * _MIB,
        call_seconds=spec.call_seconds,
        layer=spec.layer_mb * _MIB,
    )
