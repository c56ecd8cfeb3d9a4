"""Where runs are kept: ``<state>/runs/<run>/``, readable by their owner alone.

``status.json`` says how far a run is, for people; ``*.steps`` hold its conversation, and what
vouches for those stands in the ledger; whoever works on a run holds ``lock``.
"""

import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from trilemma.errors import LedgerError, SpecError

from ...sandbox.filelock import FileLock
from .journal import UNFINISHED

RUNNING, INTERRUPTED, REFUSED = "running", "interrupted", "refused"
FINISHED = frozenset({"done", "steps", "tokens", "usd", "seconds", "bytes_out"})
"""How runs end that do not go on: what they wanted is done, or what they had is used up."""

_RUN = re.compile(r"run_[0-9a-f]{16}")
_STATUS, _STEPS = "status.json", ".steps"
_REMEMBERED = 200
"""Finished runs that are still listed. Their conversations are gone when they end."""


@dataclass(frozen=True, slots=True)
class Status:
    """One run, as people see it."""

    run: str
    agent: str
    model: str
    begun: str
    """ISO 8601, UTC."""
    state: str
    """``running``, ``interrupted`` where its gateway died, ``refused`` where it could not go on,
    or how it ended."""
    why: str = ""
    session: str = ""
    """The newest session that worked on it."""

    @property
    def resumable(self) -> bool:
        """Whether it may go on."""
        return self.state != RUNNING and self.state not in FINISHED


class RunPlace:
    """The folder of one run, in the hands of this process."""

    def __init__(self, path: Path, lock: FileLock, status: Status) -> None:
        self.path = path
        self.status = status
        self._lock = lock

    def say(self, state: str, *, why: str = "", session: str = "") -> None:
        """Write how far the run is."""
        session = session or self.status.session
        self.status = replace(self.status, state=state, why=why, session=session)
        fresh = self.path / f"{_STATUS}{UNFINISHED}"
        try:
            with open(fresh, "w", encoding="utf-8", opener=_private) as file:
                json.dump(asdict(self.status), file)
            os.replace(fresh, self.path / _STATUS)
        except OSError as error:
            raise _unusable(self.path, error) from None

    def segments(self) -> list[Path]:
        """The files of steps, oldest first."""
        return sorted(self.path.glob(f"*{_STEPS}"))

    def next_segment(self) -> Path:
        """Where the next file of steps goes."""
        found = self.segments()
        number = int(found[-1].stem) + 1 if found else 1
        return self.path / f"{number:08d}{_STEPS}"

    def keep_only(self, segment: Path | None) -> None:
        """Delete every other file of steps, and what a crash left of one that was just begun."""
        for other in (*self.segments(), *self.path.glob(f"*{UNFINISHED}")):
            if other != segment:
                other.unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete all of it, and let go."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.release()

    def release(self) -> None:
        """Let others have it; twice is fine."""
        self._lock.release()


class Runs:
    """All runs below one directory. Safe between processes."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def create(self, agent: str, model: str) -> RunPlace:
        """A place for a new run.

        Raises:
            LedgerError: the disk refuses it.
        """
        run = f"run_{secrets.token_hex(8)}"
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self._root / run).mkdir(mode=0o700)
        except OSError as error:
            raise _unusable(self._root / run, error) from None
        begun = datetime.now(UTC).isoformat(timespec="seconds")
        place = self._locked(run, Status(run, agent, model, begun, RUNNING))
        place.say(RUNNING)
        self._prune()
        return place

    def take(self, run: str) -> RunPlace:
        """The place of a run that nobody works on now.

        Raises:
            SpecError: there is no such run, it ended for good, or somebody works on it.
        """
        place = self._locked(run, self.status(run))
        # Read once more, now that it is held: whoever had it may have ended it just before.
        status = self._read(run)
        if status is None or status.state in FINISHED:
            place.release()
            how = status.state if status else "deleted"
            raise SpecError(f"run {run!r} has ended ({how}); start a new one")
        place.status = status
        return place

    def status(self, run: str) -> Status:
        """How far a run is.

        Raises:
            SpecError: there is no such run.
        """
        found = self._read(run) if _RUN.fullmatch(run) else None
        if found is None:
            raise SpecError(f"there is no run {run!r}; 'trilemma runs' shows those that there are")
        return found

    def __iter__(self) -> Iterator[Status]:
        """Every run, oldest first."""
        names = self._root.glob("run_*") if self._root.is_dir() else ()
        found = (self._read(path.name) for path in names if _RUN.fullmatch(path.name))
        yield from sorted((status for status in found if status), key=lambda s: (s.begun, s.run))

    def forget(self, run: str) -> None:
        """Delete what is kept of a run.

        Raises:
            SpecError: there is no such run, or somebody works on it.
        """
        self._locked(run, self.status(run)).remove()

    def _locked(self, run: str, status: Status) -> RunPlace:
        path = self._root / run
        try:
            lock = FileLock.take(path / "lock")
        except OSError as error:
            raise _unusable(path, error) from None
        if lock is None:
            raise SpecError(f"run {run!r} is running; 'trilemma ps' shows where")
        return RunPlace(path, lock, status)

    def _read(self, run: str) -> Status | None:
        path = self._root / run
        try:
            data = json.loads((path / _STATUS).read_text(encoding="utf-8"))
            status = Status(**{**data, "run": run})
        except (OSError, ValueError, TypeError):
            return None
        if status.state == RUNNING and not _is_locked(path / "lock"):
            return replace(status, state=INTERRUPTED)
        return status

    def _prune(self) -> None:
        ended = [status for status in self if status.state in FINISHED]
        for status in ended[:-_REMEMBERED]:
            shutil.rmtree(self._root / status.run, ignore_errors=True)

    @classmethod
    def of(cls, state: Path) -> Self:
        """The runs of a gateway's state directory."""
        return cls(state / "runs")


def _is_locked(path: Path) -> bool:
    try:
        lock = FileLock.take(path)
    except OSError:
        return False
    if lock is not None:
        lock.release()
    return lock is None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def _unusable(path: Path, error: OSError) -> LedgerError:
    return LedgerError(f"runs cannot be kept in {str(path)!r}: {error.strerror or error}")
