"""``@tool``: a function becomes a typed tool whose body runs inside the sandbox."""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from trilemma.errors import SpecError
from trilemma.policy.capability import CapabilitySet, ordered, parse

if TYPE_CHECKING:
    from trilemma.gateway.schemas import PythonTool

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Tool(Generic[P, R]):
    """A function that agents may call. Called directly, it is the plain function."""

    function: Callable[P, R]
    name: str
    needs: CapabilitySet | None
    """None where nothing was declared: then a call needs all three and is always refused."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the plain function, here and not in a sandbox."""
        return self.function(*args, **kwargs)

    def spec(self) -> "PythonTool":
        """The tool as data: schema from the typed signature, source cut out of its module.

        Raises:
            SpecError: the signature has a type without a schema, or the source cannot travel.
        """
        # Late, because declaring a tool must not load the schemas.
        from trilemma.gateway.schemas import PythonTool
        from trilemma.sandbox.toolhost.hints import SignatureError
        from trilemma.sandbox.toolhost.signature import describe
        from trilemma.toolsource import tool_source

        try:
            described = describe(self.function)
        except SignatureError as error:
            raise SpecError(str(error)) from None
        return PythonTool(
            name=self.name,
            description=described.description,
            needs=None if self.needs is None else ordered(self.needs),
            parameters=described.parameters,
            source=tool_source(self.function),
            function=self.function.__name__,
        )


@overload
def tool(function: Callable[P, R], /) -> Tool[P, R]: ...


@overload
def tool(
    *, needs: Iterable[str], name: str | None = None
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...


def tool(
    function: Callable[P, R] | None = None,
    /,
    *,
    needs: Iterable[str] | None = None,
    name: str | None = None,
) -> Tool[P, R] | Callable[[Callable[P, R]], Tool[P, R]]:
    """Declare a function as a tool.

    >>> @tool(needs={"files"})
    ... def count_lines(path: str) -> int:
    ...     "Count the lines of a file in the workspace."
    ...     with open(path) as file:
    ...         return sum(1 for _ in file)

    The body runs inside a sandbox that can do what ``needs`` says and nothing else; ``needs=set()``
    is a pure computation. Without ``needs`` the tool counts as needing all three.

    Raises:
        SpecError: ``needs`` names something that is not a capability.
    """
    declared = None if needs is None else parse(needs)

    def wrap(function: Callable[P, R]) -> Tool[P, R]:
        if not inspect.isfunction(function):
            raise SpecError(f"@tool takes a plain function, not {function!r}")
        return Tool(function, name or function.__name__, declared)

    return wrap if function is None else wrap(function)


def as_spec(item: Any) -> Any:
    """What a person put in ``tools=[...]``, as data for the schema."""
    if isinstance(item, Tool):
        return item.spec()
    if callable(item) and not isinstance(item, type):
        raise SpecError(f"{item!r} is a plain function; put @tool(needs={{...}}) above it")
    return item
