"""One kind of what may be spent, counted here and in the accounts of the same kind above.

Amounts are whole numbers, so that what goes back is exactly what was set aside. Nothing in here
locks: a purse does.
"""

from collections.abc import Iterator

from trilemma.errors import LimitReached

from .amounts import Kind, shown


class Account:
    """What one purse may spend of one kind, and what it has spent."""

    def __init__(
        self, kind: Kind, limit: int | None, parent: "Account | None" = None, owner: str = ""
    ) -> None:
        self.kind = kind
        self.limit = limit
        self.owner = owner
        self.used = 0
        self._parent = parent
        self._kept = 0
        """Set aside for accounts below, and not used by them yet."""
        self._carved = False
        """Whether the limit was set aside for this one in the accounts above."""
        self._given_back = False
        self._sealed: list[Account] = []
        """Accounts below whose part is never given back; see :meth:`seal`."""

    def left(self) -> int | None:
        """What may still be used, here and above; None without any limit."""
        found = [left for _, left in self._free()]
        return max(0, min(found)) if found else None

    def see_left(self, amount: int) -> None:
        """Refuse an amount that is not left.

        Raises:
            LimitReached: the text says whose limit it is.
        """
        for account, left in self._free():
            if left < amount:
                text = account._reached(amount, left, of=_of(account, self))
                raise LimitReached(self.kind, text)

    def use(self, amount: int) -> None:
        """Book an amount here and above; what was set aside for it shrinks by as much."""
        released = 0
        for account in self.chain():
            account._kept -= released
            before = account._set_aside
            account.used += amount
            if account._carved:
                released = before - account._set_aside

    def carve(self) -> None:
        """Set the limit of this new account aside in those above.

        Raises:
            LimitReached: so much is not left.
        """
        if self._parent is None or self.limit is None:
            return
        self._parent.see_left(self.limit)
        self._parent._keep(self.limit)
        self._carved = True

    def seal(self) -> None:
        """Never give back what was set aside: what came back would tell what was used."""
        if self._carved and self._parent is not None:
            for account in self._parent._keepers():
                account._sealed.append(self)

    def give_back(self) -> None:
        """End what :meth:`carve` did: what was not used is left to the others again."""
        if self._parent is not None and self in self._parent._sealed:
            return
        back = self._set_aside - sum(account._set_aside for account in self._sealed)
        self._given_back = True
        if self._parent is not None:
            self._parent._keep(-max(0, back))

    def chain(self) -> "Iterator[Account]":
        """The account and all above."""
        account: Account | None = self
        while account is not None:
            yield account
            account = account._parent

    @property
    def _set_aside(self) -> int:
        """What accounts above still keep for this one."""
        if not self._carved or self._given_back or self.limit is None:
            return 0
        return max(0, self.limit - self.used)

    def _free(self) -> "Iterator[tuple[Account, int]]":
        """Each account with a limit, and what it has left for this one."""
        covered = False
        for account in self.chain():
            if account.limit is not None:
                # What is set aside for others is not left, unless it is set aside for this one.
                kept = 0 if covered else account._kept
                yield account, account.limit - account.used - kept
            covered = covered or account._carved

    def _keep(self, amount: int) -> None:
        """Set aside here, and above up to an account for which it is set aside already."""
        for account in self._keepers():
            account._kept += amount

    def _keepers(self) -> "Iterator[Account]":
        """Those that keep what is set aside here: itself, and up to one that is set aside too."""
        for account in self.chain():
            yield account
            if account._carved:
                return

    def _reached(self, amount: int, left: int, of: str) -> str:
        name = f"the limit of {shown(self.kind, self.limit or 0)}{of}"
        if amount > 1 and left > 0:
            asked, rest = shown(self.kind, amount), shown(self.kind, left)
            return f"{asked} were asked for, and of {name} only {rest} are left"
        details = [] if self.kind == "steps" else [f"{shown(self.kind, self.used)} used"]
        if self._kept > 0:
            details.append(f"{shown(self.kind, self._kept)} set aside for others")
        return f"{name} is used up" + (f" ({', '.join(details)})" if details else "")


def _of(account: Account, asking: Account) -> str:
    return f" of {account.owner!r}" if account is not asking and account.owner else ""
