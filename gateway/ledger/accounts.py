"""Accounts that outlast domains, sessions and restarts: what crossed between domains, for ever.

Every other account is a domain's. These belong to a principal or to a workspace, are charged by
``crossing.passed`` alone, and are summed over the whole ledger.
"""

_LASTING = "crossing:"


def principal_account(principal: str) -> str:
    """The account of a person."""
    return f"{_LASTING}principal:{principal}"


def workspace_account(workspace: str) -> str:
    """The account of a workspace, by its identity."""
    return f"{_LASTING}workspace:{workspace}"


def is_lasting(account: str) -> bool:
    """True where no new domain begins with an empty account."""
    return account.startswith(_LASTING)


def owner(account: str) -> tuple[str, str]:
    """``principal`` or ``workspace``, and which."""
    kind, _, name = account.removeprefix(_LASTING).partition(":")
    return kind, name
