"""Shipped tool modules: compiled and run in a call's child, and nowhere else."""

from typing import Any
from .context import Context


def describe(arguments: dict[str, Any], context: Context) -> Any: ...
def call(name: str, function: str, arguments: dict[str, Any], context: Context) -> Any: ...
