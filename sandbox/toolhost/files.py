"""How many files a process of a call may have open."""

import resource

from .settings import Settings


def limit_files(settings: Settings) -> None:
    """Fewer than the tool host, for good: so what a call keeps on its way through sockets never
    keeps a tool host, here or in another sandbox of the same user, from sending its descriptors.
    """
    resource.setrlimit(resource.RLIMIT_NOFILE, (settings.open_files, settings.open_files))
