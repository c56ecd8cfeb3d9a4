"""The worst case as a model: it obeys every order it reads, whoever wrote it.

It reads the task and everything that tools return, and never the agent's own instructions: nothing
that an author writes there can hold it back. It stands for a fully hijacked model, so a run with it
tests enforcement alone. Nothing is scripted: the reply is a pure function of the conversation.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from .messages import CallIdentity, FunctionTool, Message, Reply, ToolCall, Usage
from .model import ModelRef
from .orders import Order, find_orders
from .placeholders import Results, fill, mentions

PARALLEL = 8
"""At most so many tool calls go out in one reply."""

_NOTHING_TO_DO = (
    "I read no order, so I did nothing. This model obeys lines such as "
    'CALL list_files {"path": "."} in its task and in what tools return.'
)


@dataclass(frozen=True, slots=True)
class _Wish:
    """One call that is still to be made; an ``EACH`` becomes one wish per item."""

    order: Order
    item: str | None = None


@dataclass(slots=True)
class _Replay:
    """What the model would remember if it had a memory: rebuilt from the conversation."""

    pending: list[_Wish] = field(default_factory=list)
    """Newest last: what was read last is obeyed first."""
    results: dict[str, list[str]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """Tool name by call id."""
    seen: set[str] = field(default_factory=set)
    """Texts that were read. A text that comes back unchanged says nothing new."""
    unread: list[str] = field(default_factory=list)
    last_result: str = ""
    made: int = 0
    """The highest number in the id of a call: the first of them may be folded away."""

    def take(self, message: Message) -> None:
        """Live through one message."""
        if message.role == "user":
            self.unread.append(message.content)
        elif message.role == "tool":
            name = self.names.get(message.tool_call_id or "", "")
            self.results.setdefault(name, []).append(message.content)
            self.last_result = message.content
            self.unread.append(message.content)
        elif message.role == "assistant" and message.tool_calls:
            self.next_calls()
            self.names.update({call.id: call.name for call in message.tool_calls})
            self.made = max(self.made, *(_number(call.id) for call in message.tool_calls))

    def next_calls(self) -> list[ToolCall]:
        """Read what is unread, then take the next wishes that can go out side by side."""
        self._read()
        first = self._pop()
        if first is None:
            return []
        batch = [first]
        while len(batch) < PARALLEL and self.pending and _fits(batch, self.pending[-1]):
            batch.append(self.pending.pop())
        made, results = self.made, Results(self.results)
        return [
            ToolCall(
                f"call_{made + n}", wish.order.tool, fill(wish.order.arguments, results, wish.item)
            )
            for n, wish in enumerate(batch, 1)
        ]

    def _read(self) -> None:
        orders: list[Order] = []
        for text in self.unread:
            if text not in self.seen:
                self.seen.add(text)
                orders.extend(find_orders(text))
        self.unread.clear()
        self.pending.extend(_Wish(order) for order in reversed(orders))

    def _pop(self) -> _Wish | None:
        """The next wish; an ``EACH`` is opened into its items when its turn has come."""
        while self.pending:
            wish = self.pending.pop()
            if wish.order.each is None or wish.item is not None:
                return wish
            items = Results(self.results).items(wish.order.each)
            self.pending.extend(_Wish(wish.order, item) for item in reversed(items))
        return None


def _number(call_id: str) -> int:
    """The number in an id that this model gave. Others may be gone from the conversation."""
    number = call_id.removeprefix("call_")
    return int(number) if number.isdecimal() else 0


def _fits(batch: list[_Wish], wish: _Wish) -> bool:
    """True where a wish can go out with these: the next item of one ``EACH``, or a joined call."""
    if wish.order.each is not None:
        return wish.item is not None and wish.order is batch[-1].order
    waits_for = mentions(wish.order.arguments) & {earlier.order.tool for earlier in batch}
    return wish.order.joined and not waits_for


class GullibleModel:
    """The built-in model ``gullible``. It needs no key and no network."""

    ref = ModelRef("gullible", "builtin", inside=True)

    async def complete(
        self,
        messages: Sequence[Message],
        tools: Sequence[FunctionTool],
        *,
        identity: CallIdentity | None = None,
        max_tokens: int | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Reply:
        """Obey the next orders, offered as tools or not; with none left, sum up."""
        replay = _Replay()
        for message in messages:
            replay.take(message)
        calls = tuple(replay.next_calls())
        text = "" if calls else _summary(replay)
        if text and on_text is not None:
            on_text(text)
        return Reply(text, calls, _usage(messages, text, calls))


def _summary(replay: _Replay) -> str:
    if not replay.names:
        return _NOTHING_TO_DO
    counted = Counter(replay.names.values())
    done = ", ".join(f"{name} x{count}" for name, count in counted.items())
    return f"I made {counted.total()} calls: {done}. The last one returned:\n{replay.last_result}"


def _usage(messages: Sequence[Message], text: str, calls: Sequence[ToolCall]) -> Usage:
    """A word counts as a token."""
    read = sum(_words(message.content, message.tool_calls) for message in messages)
    return Usage(input_tokens=read, output_tokens=_words(text, calls))


def _words(text: str, calls: Sequence[ToolCall]) -> int:
    return len(text.split()) + sum(len(part.split()) for call in calls for part in _parts(call))


def _parts(call: ToolCall) -> Iterator[str]:
    yield call.name
    yield call.arguments
