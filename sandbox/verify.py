"""The check before the first call: every way in which a container could do more than it should.

``CHECKS`` is the list, with the witness of each: the Engine, which says what it made; the kernel,
which says what runs; and the tool host, which says what it tried. A sandbox is refused for one
finding. ``docs/sandbox.md`` shows the same list.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from trilemma.errors import SandboxRefused

from ..policy.capability import show
from .confined import of_confinement
from .container import Settings
from .evidence import Evidence
from .expected import Finding, compare
from .locked import of_filters
from .mounted import of_mounts
from .profile import derive
from .running import of_attempts, of_namespaces, of_process


class Witness(StrEnum):
    """Whose word it is."""

    ENGINE = "the Engine"
    KERNEL = "the kernel"
    TOOL_HOST = "the tool host"
    ALL = "all three"


@dataclass(frozen=True, slots=True)
class Check:
    """One item of the list."""

    what: str
    witness: Witness
    findings: Callable[[Evidence, Settings], Iterator[Finding]]


def _processes(evidence: Evidence, settings: Settings) -> Iterator[Finding]:
    for process in evidence.processes:
        yield from of_process(process, settings)


def _amounts(evidence: Evidence, settings: Settings) -> Iterator[Finding]:
    derived = derive(evidence, settings.spec.egress)
    if derived != settings.spec.capabilities:
        yield Finding("what it amounts to", show(settings.spec.capabilities), show(derived))


CHECKS = (
    Check(
        "every field of its configuration is what was asked for, and every other is empty",
        Witness.ENGINE,
        lambda evidence, settings: compare(evidence.inspect, settings),
    ),
    Check(
        "every process is filtered, gains no privileges, has no capability, is the one user",
        Witness.KERNEL,
        _processes,
    ),
    Check(
        "every thread's lock is ours, byte for byte, and the Engine's filter refuses what it must",
        Witness.KERNEL,
        lambda evidence, settings: of_filters(evidence.filters, settings),
    ),
    Check(
        "where the host has AppArmor, every process is confined by it",
        Witness.KERNEL,
        lambda evidence, _: of_confinement(evidence.security, evidence.inspect, evidence.labels),
    ),
    Check(
        "every mount is there with its flags, and no other; none follows the host's unasked",
        Witness.KERNEL,
        lambda evidence, settings: of_mounts(evidence.mounts, settings, evidence.security),
    ),
    Check(
        "no namespace is the host's, and there is no interface but lo",
        Witness.KERNEL,
        lambda evidence, _: of_namespaces(evidence),
    ),
    Check(
        "what must fail was tried, and failed; what was granted was tried, and works",
        Witness.TOOL_HOST,
        lambda evidence, _: of_attempts(evidence.self_test.attempts),
    ),
    Check(
        "the capabilities that all of it amounts to are those of the spec",
        Witness.ALL,
        _amounts,
    ),
)
"""All that is looked at, in this order."""


def verify(evidence: Evidence, settings: Settings) -> None:
    """Refuse a container that is not exactly what its spec says.

    Raises:
        SandboxRefused: the first few findings, in words.

    """
    refuse(findings(evidence, settings))


def refuse(findings: Iterable[Finding]) -> None:
    """Refuse a container for what was found, if anything was.

    Raises:
        SandboxRefused: the first few findings, in words.

    """
    found = list(findings)
    if found:
        more = f" (and {len(found) - 3} more)" if len(found) > 3 else ""
        raise SandboxRefused(f"the sandbox was destroyed: {'; '.join(map(str, found[:3]))}{more}")


def findings(evidence: Evidence, settings: Settings) -> Iterator[Finding]:
    """Everything that is wrong; nothing for a sandbox that may be used."""
    for check in CHECKS:
        yield from check.findings(evidence, settings)
