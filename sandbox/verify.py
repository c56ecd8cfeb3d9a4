"""The check before the first call: every way in which a container could do more than it should.

A sandbox is refused for one finding. There are five lists: what the Engine made (``expected.py``),
every process, every mount, the namespaces, and what the tool host tried. At the end the
capabilities are derived from the same evidence and must be those of the spec.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from trilemma.errors import SandboxRefused

from ..policy.capability import show
from .confined import of_confinement
from .container import EXCHANGE, HOST_FLAGS, HOST_TREE, WORKSPACE, Settings
from .evidence import Evidence
from .expected import Finding, compare
from .locked import of_filters
from .proc import MountPoint, Process
from .profile import ENGINE_FILTER, OWN_MOUNTS, derive
from .report import Attempted
from .spec import Exec, SandboxSpec


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
    yield from compare(evidence.inspect, settings)
    for process in evidence.processes:
        yield from of_process(process, settings)
    yield from of_filters(evidence.filters, settings)
    yield from of_confinement(evidence.security, evidence.inspect, evidence.labels)
    yield from _mounts(evidence.mounts, settings)
    yield from _namespaces(evidence)
    yield from of_attempts(evidence.self_test.attempts)
    derived = derive(evidence, settings.spec.egress)
    if derived != settings.spec.capabilities:
        yield Finding("what it amounts to", show(settings.spec.capabilities), show(derived))


def of_process(process: Process, settings: Settings) -> Iterator[Finding]:
    """What is wrong with one process."""
    name = f"of process {process.pid}, the"
    checks = (
        ("seccomp mode", 2, process.seccomp),
        ("no_new_privs", True, process.no_new_privileges),
        ("capability masks", frozenset({"0" * 16}), process.capabilities),
        ("users", frozenset({settings.uid}), process.uids),
        ("groups", frozenset({settings.gid}), process.gids),
    )
    for what, expected, found in checks:
        if expected != found:
            yield Finding(f"{name} {what}", expected, found)
    if process.filters <= ENGINE_FILTER:
        yield Finding(f"{name} number of seccomp filters", "2 or more", process.filters)


@dataclass(frozen=True, slots=True)
class _MountRule:
    """How one mount must look; of several at one place only the last can be reached."""

    target: str
    kind: str | None
    flags: tuple[str, ...]


def mount_rules(settings: Settings) -> tuple[_MountRule, ...]:
    """The mounts that must be there, with the flags that each must have."""
    # Code may execute what it writes; nobody else finds anything executable to write to.
    noexec = () if settings.spec.exec is Exec.FREE else ("noexec",)
    rules = [
        _MountRule("/", None, ("ro",)),
        _MountRule("/proc", "proc", ("ro", "nosuid", "nodev", "noexec")),
        _MountRule("/proc/sys", "proc", ("ro",)),
        _MountRule("/sys", "tmpfs", ("ro",)),
        _MountRule("/dev", "tmpfs", ("nosuid",)),
        _MountRule("/dev/shm", "tmpfs", ("nosuid", "nodev", "noexec")),
        _MountRule("/tmp", "tmpfs", ("nosuid", "nodev", *noexec)),
        _MountRule(HOST_TREE, None, HOST_FLAGS),
    ]
    if not settings.stdio:
        rules.append(_MountRule(EXCHANGE, None, ("ro",)))
    if settings.spec.mount is not None:
        kind = "tmpfs" if settings.spec.mount.volume else None
        rules.append(_MountRule(WORKSPACE, kind, workspace_flags(settings.spec)))
    return tuple(rules)


def workspace_flags(spec: SandboxSpec) -> tuple[str, ...]:
    """What the mount must have that a sandbox sees as its workspace: an empty slot has it all."""
    assert spec.mount is not None
    access = "ro" if spec.mount.read_only or spec.mount.awaited else "rw"
    # A volume has the same flags in all its sandboxes; what is locked executes nothing from it.
    execute = spec.mount.volume_exec or (spec.exec is Exec.FREE and not spec.mount.awaited)
    return (access, "nosuid", "nodev") if execute else (access, "nosuid", "nodev", "noexec")


def _mounts(mounts: tuple[MountPoint, ...], settings: Settings) -> Iterator[Finding]:
    at = {mount.target: mount for mount in mounts}
    rules = {rule.target: rule for rule in mount_rules(settings)}
    for rule in rules.values():
        mount = at.get(rule.target)
        if mount is None:
            yield Finding(f"the mount {rule.target}", rule.flags, "not there")
        elif not mount.has(*rule.flags) or rule.kind not in (None, mount.kind):
            yield Finding(
                f"the mount {rule.target}", rule.flags, (mount.kind, *sorted(mount.flags))
            )
    for target in at.keys() - rules.keys() - OWN_MOUNTS:
        if not target.startswith("/sys/"):  # Below the mask, out of reach.
            yield Finding(f"the mount {target}", "not there", at[target].kind)
    for target in ("/etc/hostname", "/etc/hosts", "/etc/resolv.conf"):
        if target in at and not at[target].has("ro"):
            yield Finding(f"the mount {target}", "ro", sorted(at[target].flags))


def _namespaces(evidence: Evidence) -> Iterator[Finding]:
    if evidence.shared_namespaces:
        yield Finding("shared with the host", "nothing", sorted(evidence.shared_namespaces))
    if evidence.interfaces != {"lo"}:
        yield Finding("network interfaces", ["lo"], sorted(evidence.interfaces))


def of_attempts(attempts: tuple[Attempted, ...]) -> Iterator[Finding]:
    """What the tool host tried that went otherwise than it must."""
    for attempt in attempts:
        if attempt.surprising:
            outcome = " ".join(filter(None, (attempt.outcome, attempt.detail)))
            yield Finding(f"trying to {attempt.name}", attempt.expected, outcome)
    if not attempts:
        yield Finding("the self-test", "a list of attempts", "empty")
