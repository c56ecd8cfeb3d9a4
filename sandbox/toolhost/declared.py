"""What a shipped tool module sees as ``trilemma``: the ``tool`` decorator and nothing else."""

import types
from collections.abc import Callable, Iterable
from typing import Any

CAPABILITIES = ("files", "internet", "code")


class Tool:
    """A function that was declared as a tool. Called directly, it is the plain function."""

    def __init__(
        self, function: Callable[..., Any], name: str, needs: tuple[str, ...] | None
    ) -> None:
        self.function = function
        self.name = name
        self.needs = needs
        """None where nothing was declared; the gateway then counts all three."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the plain function."""
        return self.function(*args, **kwargs)


def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    needs: Iterable[str] | None = None,
    name: str | None = None,
) -> Any:
    """Declare a function as a tool; the same decorator as outside."""
    declared = None if needs is None else _parse(needs)

    def wrap(function: Callable[..., Any]) -> Tool:
        return Tool(function, name or function.__name__, declared)

    return wrap if function is None else wrap(function)


def _parse(needs: Iterable[str]) -> tuple[str, ...]:
    if isinstance(needs, str):
        raise ValueError(f"needs must be a set such as {{'files'}}, not {needs!r}")
    asked = set(needs)
    if unknown := asked - set(CAPABILITIES):
        raise ValueError(f"needs names {sorted(unknown)!r}; there are {', '.join(CAPABILITIES)}")
    return tuple(name for name in CAPABILITIES if name in asked)


def trilemma_module() -> types.ModuleType:
    """The module that ``from trilemma import tool`` finds inside a sandbox."""
    module = types.ModuleType("trilemma", "Inside a sandbox: the tool decorator.")

    def missing(name: str) -> Any:
        raise AttributeError(f"inside a sandbox, trilemma offers tool, not {name}")

    module.__dict__.update({"tool": tool, "Tool": Tool, "__getattr__": missing})
    return module
