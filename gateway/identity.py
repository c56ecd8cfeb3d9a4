"""Who makes a model call, as a server inside may know it: minted here, by nobody else.

A server that many people share sees opaque names. They are keyed hashes, so nobody without the
secret can tell whose they are, guess another's, or say that two of them belong together.
"""

import hashlib
import hmac
import json
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from trilemma.errors import LedgerError

from ..inference.messages import CallIdentity
from .enforcement import Actor

_BYTES = 32
_DIGITS = 32
"""Of a name, hexadecimal: 128 bits."""

ROOT, CHILD = 1, 0
"""Two levels of priority.

A root goes before children: it is one call that a person waits for, where a fan-out is many that
wait for each other, so going first costs the others little and going last would cost it much. All
children are level, however deep: a deeper one would otherwise hold up its own ancestors. The two
differ by less than what lets an engine throw out a call that already runs.
"""


@dataclass(frozen=True, slots=True)
class IdentityMint:
    """Mints the identities of one gateway's calls."""

    _secret: bytes = field(repr=False)

    @classmethod
    def open(cls, state: Path) -> Self:
        """The mint whose secret lies in the state folder; it is made once.

        Raises:
            LedgerError: it cannot be kept, or others could read or change it.
        """
        path = state / "identity.key"
        try:
            if not path.exists():
                _make(path)
            return cls(_read(path))
        except OSError as error:
            raise LedgerError(f"{str(path)!r} cannot be used: {error}") from None

    def mint(
        self, actor: Actor, *, depth: int = 0, tree: str = "", parent: str = ""
    ) -> CallIdentity:
        """The identity of an actor's calls; ``depth`` is 0 for an agent that nobody called.

        ``tree`` is the session at the root of its tree, where it is another one; ``parent`` the
        session that made it, where that is of the same domain. Every name is bound to principal
        and domain: across those nothing is linked and no prefix is shared.
        """
        return CallIdentity(
            session=self._name(actor, "session", actor.session),
            tree=self._name(actor, "tree", tree or actor.session),
            parent=self._name(actor, "session", parent) if parent else "",
            priority=CHILD if depth else ROOT,
            cache_salt=self._name(actor, "salt"),
        )

    def _name(self, actor: Actor, *parts: str) -> str:
        # As JSON, so that no two lists of parts read the same.
        said = json.dumps([actor.principal, actor.domain, *parts]).encode()
        return hmac.new(self._secret, said, hashlib.sha256).hexdigest()[:_DIGITS]


def _make(path: Path) -> None:
    """Whole or not at all, and the first of two processes wins."""
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(unfinished, path)
        except FileExistsError:
            return
    finally:
        unfinished.unlink()


def _read(path: Path) -> bytes:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        found = os.fstat(file.fileno())
        secret = file.read(_BYTES + 1)
    if not stat.S_ISREG(found.st_mode) or len(secret) != _BYTES:
        raise LedgerError(f"{str(path)!r} is not what was written there; delete it for a new one")
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise LedgerError(
            f"{str(path)!r} can be read by others, so what it keeps apart may be linked; delete it "
            "for a new one"
        )
    return secret
