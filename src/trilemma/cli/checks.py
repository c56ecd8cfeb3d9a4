"""Everything that runs need, one check each: what was found, and what to do where it is missing."""

import json as jsonlib
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from trilemma.cli.escape import line
from trilemma.cli.failure import Exit
from trilemma.errors import TrilemmaError
from trilemma.gateway.ledger.verify import verify
from trilemma.gateway.local import decision_point
from trilemma.gateway.settings import Settings
from trilemma.policy.operator import load_operator_policy
from trilemma.sandbox.runtime import live_instances, runtime_dirs

_KERNEL = (5, 12)
"""The first with mount_setattr; sandboxes and views stand on it."""


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    NOTE = "note"
    """Not there, and runs work without it."""
    MISSING = "missing"
    """Runs cannot work without it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    what: str
    status: Status
    text: str


Check = Callable[[Settings], Iterator[Finding]]


def report(*, json: bool) -> Exit:
    """Run every check and print it."""
    settings = Settings.from_environment()
    missing = False
    for finding in _findings(settings):
        missing |= finding.status is Status.MISSING
        if json:
            print(jsonlib.dumps(asdict(finding)), flush=True)
        else:
            print(f"{finding.status:<8} {finding.what:<11} {line(finding.text)}", flush=True)
    if missing and not json:
        print("\nRuns cannot work yet: see what is missing above.", file=sys.stderr)
    return Exit.ERROR if missing else Exit.DONE


def _findings(settings: Settings) -> Iterator[Finding]:
    # Late: these bring the engine's SDK along, which a machine may lack the engine for.
    from trilemma.cli.enginechecks import check_engine
    from trilemma.cli.mountchecks import check_mounts

    checks: tuple[tuple[str, Check], ...] = (
        ("places", check_places),
        ("kernel", check_kernel),
        ("engine", check_engine),
        ("workspaces", check_mounts),
        ("policy", check_policy),
        ("ledger", check_ledger),
        ("gateways", check_gateways),
        ("options", check_options),
    )
    for name, check in checks:
        try:
            yield from check(settings)
        except TrilemmaError as error:
            yield Finding(name, Status.MISSING, str(error))


def check_places(settings: Settings) -> Iterator[Finding]:
    """Where everything lies, and whether it can be written."""
    places = {
        "state": settings.state,
        "config": settings.config,
        "cache": settings.cache,
        "runtime": settings.runtime,
    }
    for name, path in places.items():
        usable = os.access(_nearest(path), os.W_OK)
        status = Status.OK if usable or name == "config" else Status.MISSING
        yield Finding(name, status, str(path) if usable else f"{path} cannot be written by you")


def check_kernel(settings: Settings) -> Iterator[Finding]:
    """Sandboxes are made of what Linux offers."""
    release = platform.release()
    numbers = tuple(int(part) for part in release.split(".")[:2] if part.isdigit())
    machine = (
        f"{platform.system()} {release} {platform.machine()}, Python {platform.python_version()}"
    )
    fits = platform.system() == "Linux" and numbers >= _KERNEL
    needed = "" if fits else f"; needs Linux {'.'.join(map(str, _KERNEL))} or newer"
    yield Finding("kernel", Status.OK if fits else Status.MISSING, machine + needed)


def check_policy(settings: Settings) -> Iterator[Finding]:
    """The operator's policy loads, and so does its Rego."""
    given = settings.policy_file is not None
    policy = load_operator_policy(settings.policy, missing_ok=not given)
    point = decision_point(policy)
    there = str(settings.policy) if settings.policy.exists() else "none, the base policy decides"
    yield Finding("policy", Status.OK, f"{there} ({point.digest[:19]}...)")
    names = ", ".join(policy.providers.under_contract)
    text = names or "no provider; outside models need agents that hold internet"
    yield Finding("contracts", Status.OK if names else Status.NOTE, text)


def check_ledger(settings: Settings) -> Iterator[Finding]:
    """The ledger is what was recorded."""
    if not settings.ledger.exists():
        yield Finding("ledger", Status.OK, f"{settings.ledger} begins with the first run")
        return
    found = verify(settings.ledger, anchor=settings.anchor)
    text = f"{settings.ledger}, {found.events} events, verified; durability {settings.durability}"
    yield Finding("ledger", Status.OK, text)


def check_gateways(settings: Settings) -> Iterator[Finding]:
    """What runs now, and what dead gateways left."""
    living = len(live_instances(settings.runtime))
    dead = sum(1 for _, instance in runtime_dirs(settings.runtime) if not instance.alive())
    left = f"; {dead} dead ones left something: trilemma clean" if dead else ""
    yield Finding("gateways", Status.NOTE if dead else Status.OK, f"{living} running{left}")


def check_options(settings: Settings) -> Iterator[Finding]:
    """What runs work without."""
    if find_spec("litellm") is None:
        yield Finding("models", Status.NOTE, "only 'gullible'; pip install 'trilemma[models]'")
    else:
        yield Finding("models", Status.OK, "gullible, and outside models through LiteLLM")
    opa = shutil.which("opa")
    yield Finding(
        "opa", Status.OK if opa else Status.NOTE, opa or "no opa; the engine within decides"
    )


def _nearest(path: Path) -> Path:
    """The path itself, or the nearest of its parents that exists."""
    return next(place for place in (path, *path.parents) if place.exists())
