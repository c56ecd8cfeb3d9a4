"""The accounts of what crossed between domains."""

import json as jsonlib
from dataclasses import asdict, dataclass

from trilemma.cli import ledgers
from trilemma.cli.escape import line
from trilemma.gateway.ledger.accounts import owner
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.settings import Settings
from trilemma.gateway.workspaces.places import Places, read_places
from trilemma.policy.operator import load_operator_policy


@dataclass(frozen=True, slots=True)
class Account:
    """One account as people see it."""

    of: str
    """``principal`` or ``workspace``."""
    name: str
    path: str
    """Where the workspace was seen last."""
    used: int
    left: int


def list_accounts(*, json: bool) -> None:
    """Print every account that was ever charged.

    Raises:
        Stop: there is no ledger.
        SpecError: the operator's policy, which says how much may cross, is written wrong.
    """
    settings = Settings.from_environment()
    missing_ok = settings.policy_file is None
    limit = load_operator_policy(settings.policy, missing_ok=missing_ok).crossings.bits
    with ledgers.opened(settings) as ledger:
        found = _accounts(ledger, limit)
    for account in found:
        print(jsonlib.dumps(asdict(account)) if json else _line(account))
    if not found and not json:
        print(f"nothing crossed yet; {limit:,} bits may, for each principal and workspace")


def _accounts(ledger: Ledger, limit: int) -> list[Account]:
    places = read_places(ledger, Places())
    found = []
    for account, used in ledger.spent_by_account().items():
        of, name = owner(account)
        seen = places.newest(name) if of == "workspace" else None
        path = str(seen.place.path) if seen else ""
        found.append(Account(of, name, path, used, max(0, limit - used)))
    return found


def _line(account: Account) -> str:
    name = f"{account.of} {line(account.name)}"
    where = f"  {line(account.path)}" if account.path else ""
    return f"{name:<40} {account.used:>10,} bits used {account.left:>10,} left{where}"
