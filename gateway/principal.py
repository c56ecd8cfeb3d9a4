"""The person in whose name this process acts."""

import getpass
import os


def current_principal() -> str:
    """The person, as the ledger names them."""
    try:
        return f"user:{getpass.getuser()}"
    except (KeyError, OSError):
        return f"uid:{os.getuid()}"
