"""The demo's own place: a home that is attacked, its copy, and a state of its own."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from trilemma.demo.mailbox import Mailbox, make
from trilemma.demo.servers import ADDRESS, ATTACKER, LISTED, Server
from trilemma.gateway.settings import Settings

BYTES_OUT = 2048
"""What may leave in all. A status page needs some sixty of them."""


@dataclass(frozen=True)
class Place:
    """Where everything of one demo lies."""

    root: Path
    example: Path
    """The folder ``examples/inbox``."""
    listed: Server
    attacker: Server
    mailbox: Mailbox
    """The home that Trilemma guards."""

    @property
    def copy(self) -> Path:
        """The copy of that home for the run without a gate."""
        return self.root / "copy"

    @property
    def task(self) -> str:
        """What the model is asked to do."""
        text = (self.example / "task.txt").read_text(encoding="utf-8")
        return text.replace("@LISTED@", self.listed.authority)

    @property
    def environment(self) -> dict[str, str]:
        """For commands that shall look at this demo's ledger."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("TRILEMMA_")}
        return {**kept, "TRILEMMA_HOME": str(self.root)}

    @property
    def settings(self) -> Settings:
        """The gateway's settings: this place, and no other state."""
        return Settings.from_environment(self.environment)


@contextmanager
def place(example: Path, listed: Server, attacker: Server, *, keep: bool) -> Iterator[Place]:
    """Make the place; without ``keep`` it is gone afterwards."""
    root = Path(tempfile.mkdtemp(prefix="trilemma-demo-"))
    try:
        # Whoever is not root here reaches the folder by its own path only.
        root.chmod(0o711)
        seed = secrets.token_hex(8)
        mailbox = make(
            example / "make_inbox.py",
            root / "home",
            listed=listed.authority,
            attacker=attacker.authority,
            seed=seed,
        )
        shutil.copytree(root / "home", root / "copy", symlinks=True)
        made = Place(root, example, listed, attacker, mailbox)
        _write_policy(made)
        yield made
    finally:
        if not keep:
            shutil.rmtree(root, ignore_errors=True)


def _write_policy(place: Place) -> None:
    """The attacker's server can be reached as far as addresses go; it is just not listed."""
    ports = (place.listed.port, place.attacker.port)
    egress = {
        "hosts": dict.fromkeys((LISTED, ATTACKER), ADDRESS),
        "private": [f"{ADDRESS}:{port}" for port in ports],
        "bytes_out": BYTES_OUT,
    }
    place.settings.policy.parent.mkdir(parents=True)
    place.settings.policy.write_text(yaml.safe_dump({"version": 1, "egress": egress}))
