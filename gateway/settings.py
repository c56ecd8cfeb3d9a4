"""Where things lie and how durable they are: read once at the edge, then frozen."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trilemma.errors import SpecError

from ..sandbox.runtime import default_root

Durability = Literal["full", "normal"]


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one gateway."""

    state: Path
    """Ledger and layers. Must outlive the process."""
    config: Path
    """The operator's policy."""
    cache: Path
    """Built images and lists; may be deleted at any time."""
    runtime: Path
    """Sockets and mounts of running gateways; empty when none runs."""
    durability: Durability = "full"
    """``full``: a power cut loses nothing recorded. ``normal``: it may lose the last calls."""
    policy_file: Path | None = None
    """The operator's policy, when it is not ``config/policy.yaml``."""
    anchor: Path | None = None
    """A second place for the ledger's head, best on another disk."""
    warm: int = 1
    """Blank sandboxes kept ready for each profile that was asked for."""
    sandboxes: int = 128
    """Sandboxes that may be there at once, blank ones too. One takes about 25 MB."""

    snapshot_mb: int = 1024
    """MiB that one snapshot of a workspace may copy, where the disk cannot share them."""
    carried_mb: int = 512
    """MiB of memory for a workspace that is carried, where folders cannot be mounted."""

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        return self.state / "ledger.db"

    @property
    def layers(self) -> Path:
        """Where agents' changes wait to be applied or discarded."""
        return self.state / "layers"

    @property
    def snapshots(self) -> Path:
        """Where copies of workspaces lie while sessions have them open."""
        return self.state / "snapshots"

    @property
    def policy(self) -> Path:
        """The operator's policy file; it need not exist."""
        return self.policy_file or self.config / "policy.yaml"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Follow the XDG base directory rules; ``TRILEMMA_HOME`` moves everything together.

        Raises:
            SpecError: a value cannot be used.
        """
        env = os.environ if environ is None else environ
        home = Path(env.get("HOME") or os.path.expanduser("~"))
        together = env.get("TRILEMMA_HOME")

        def place(variable: str, default: Path, name: str) -> Path:
            if together:
                return Path(together).absolute() / name
            value = env.get(variable, "")
            return (Path(value) if os.path.isabs(value) else default) / "trilemma"

        durability = env.get("TRILEMMA_DURABILITY", "full")
        if durability not in ("full", "normal"):
            raise SpecError(f"TRILEMMA_DURABILITY is {durability!r}; use 'full' or 'normal'")
        policy = env.get("TRILEMMA_POLICY")
        anchor = env.get("TRILEMMA_ANCHOR")
        return cls(
            state=place("XDG_STATE_HOME", home / ".local/state", "state"),
            config=place("XDG_CONFIG_HOME", home / ".config", "config"),
            cache=place("XDG_CACHE_HOME", home / ".cache", "cache"),
            runtime=default_root(),
            durability="normal" if durability == "normal" else "full",
            policy_file=Path(policy).absolute() if policy else None,
            anchor=Path(anchor).absolute() if anchor else None,
            sandboxes=_number(env, "TRILEMMA_SANDBOXES", 128),
            snapshot_mb=_number(env, "TRILEMMA_SNAPSHOT_MB", 1024),
            carried_mb=_number(env, "TRILEMMA_CARRIED_MB", 512),
        )


def _number(env: Mapping[str, str], name: str, default: int) -> int:
    value = env.get(name, str(default))
    if not value.isascii() or not value.isdigit() or int(value) < 1:
        raise SpecError(f"{name} is {value!r}; give a number from 1 up")
    return int(value)
