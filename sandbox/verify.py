"""The check before the first call: every way in which a container could do more than it should.

A sandbox is refused for one finding. There are five lists: what the Engine made (``expected.py``),
every process, every mount, the namespaces, and what the tool host tried. At the end the
capabilities are derived from the same evidence and must be those of the spec.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from trilemma.errors import SandboxRefused

from ..policy.capability import show
from .container import EXCHANGE, WORKSPACE, Settings
from .evidence import Evidence
from .expected import Finding, compare
from .proc import MountPoint, Process
from .profile import ENGINE_FILTER, OWN_MOUNTS, derive
from .spec import Exec


def verify(evidence: Evidence, settings: Settings) -> None:
    """Refuse a container that is not exactly what its spec says.

    Raises:
        SandboxRefused: the first few findings, in words.

    """
    found = list(findings(evidence, settings))
    if found:
        more = f" (and {len(found) - 3} more)" if len(found) > 3 else ""
        raise SandboxRefused(f"the sandbox was destroyed: {'; '.join(map(str, found[:3]))}{more}")


def findings(evidence: Evidence, settings: Settings) -> Iterator[Finding]:
    """Everything that is wrong; nothing for a sandbox that may be used."""
    yield from compare(evidence.inspect, settings)
    for process in evidence.processes:
        yield from _process(process, settings)
    yield from _mounts(evidence.mounts, settings)
    yield from _namespaces(evidence)
    yield from _tried(evidence)
    derived = derive(evidence, settings.spec.egress)
    if derived != settings.spec.capabilities:
        yield Finding("what it amounts to", show(settings.spec.capabilities), show(derived))


def _process(process: Process, settings: Settings) -> Iterator[Finding]:
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
        _MountRule(EXCHANGE, None, ("ro",)),
    ]
    if settings.spec.mount is not None:
        access = "ro" if settings.spec.mount.read_only else "rw"
        rules.append(_MountRule(WORKSPACE, None, (access, "nosuid", "nodev", *noexec)))
    return tuple(rules)


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


def _tried(evidence: Evidence) -> Iterator[Finding]:
    for attempt in evidence.self_test.surprises:
        outcome = " ".join(filter(None, (attempt.outcome, attempt.detail)))
        yield Finding(f"trying to {attempt.name}", attempt.expected, outcome)
    if not evidence.self_test.attempts:
        yield Finding("the self-test", "a list of attempts", "empty")
