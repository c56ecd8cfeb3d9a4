"""The images sandboxes are made of: built on this machine from Debian packages, never pulled.

Nothing here names a mirror: Debian's packages come from where the host's apt gets them (or the
apt of the Dockerfile's first stage), Python's from where pip gets them.
"""

from .build import ensure, find, remove_old
from .examined import Examined, examine
from .identity import ImageId
from .inventory import Inventory, audit
from .packages import with_packages
from .pinning import pinned
from .rootfs.recipe import Kind

__all__ = [
    "Examined",
    "ImageId",
    "Inventory",
    "Kind",
    "audit",
    "ensure",
    "examine",
    "find",
    "pinned",
    "remove_old",
    "with_packages",
]
