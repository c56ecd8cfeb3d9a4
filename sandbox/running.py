"""What runs in a container: every process, where it lives, and what it was seen to be refused."""

from collections.abc import Iterator

from .container import Settings
from .evidence import Evidence
from .expected import Finding
from .proc import Process
from .profile import ENGINE_FILTER
from .report import Attempted


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


def of_namespaces(evidence: Evidence) -> Iterator[Finding]:
    """What it shares with the host, and every network interface."""
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
