"""The two images sandboxes are made of: built on this machine, never pulled."""

from .build import Kind, ensure, find
from .identity import ImageId

__all__ = ["ImageId", "Kind", "ensure", "find"]
