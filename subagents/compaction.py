"""A long conversation made shorter: old results are left out first, then old steps become a note.

Pure: the same conversation folds the same way, on whichever machine a run goes on. What stays is
valid for every provider: each call has its answer, and roles take turns. What opens the
conversation stays byte for byte, so a prefix cache keeps what it has. Nothing here is about labels:
the domain holds them, and it forgets nothing because a conversation does.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from trilemma.errors import LimitReached

from ..inference.messages import Message

ROOM = 2
"""A conversation that is folded is folded to this part of its bound, so that it is not at once
folded again, and a prefix cache has something to keep meanwhile."""

_LARGE = 2000
"""Characters from which an old result is left out."""
_NEWEST = 4
"""So many steps keep their large results as long as that can be."""
_NOTE = "[The first {steps} steps of this run were folded, to keep the conversation short."
_LINE = re.compile(r"- ([A-Za-z0-9_-]{1,64}|\(other\)): (\d+) well, (\d+) failed, (\d+) refused")
_STEPS = re.compile(r"\[The first (\d+) steps ")
_END = "What those calls returned is no longer shown; make a call again where it is needed.]"
_GO_ON = "Go on from there."
_GONE = re.compile(r"\[A result of \d+ characters is left out here; call again for it\.\]")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_WELL, _FAILED, _REFUSED = range(3)
_MANY = 50
"""Tools that a note names; what else was called stands in one line."""


def weight(message: Message) -> int:
    """About how many tokens a message is: rather too many than too few."""
    parts = [message.content, message.tool_call_id or ""]
    parts += [text for call in message.tool_calls for text in (call.id, call.name, call.arguments)]
    return 8 + sum((len(part.encode("utf-8", "surrogatepass")) + 2) // 3 for part in parts)


def weigh(messages: Iterable[Message]) -> int:
    """About how many tokens a conversation is."""
    return sum(map(weight, messages))


def fold(messages: Sequence[Message], bound: int) -> tuple[Message, ...]:
    """The conversation, within ``bound`` tokens; unchanged where it is already.

    Raises:
        LimitReached: what opens it and its newest step alone are too much.
    """
    if weigh(messages) <= bound:
        return tuple(messages)
    talk = _Talk.of(messages)
    for shorter in talk.shortened(bound // ROOM):
        if weigh(shorter) <= bound:
            return shorter
    raise LimitReached(
        "context_tokens",
        f"the task and the newest step are longer than the limit of {bound} context tokens",
    )


@dataclass(frozen=True, slots=True)
class _Step:
    """One reply and what its calls gave."""

    messages: tuple[Message, ...]

    @property
    def results(self) -> tuple[Message, ...]:
        return tuple(m for m in self.messages if m.role == "tool")

    def without(self, longest: int) -> "_Step":
        """With every result left out that is longer."""
        return _Step(tuple(_left_out(m) if _longer(m, longest) else m for m in self.messages))


@dataclass(frozen=True, slots=True)
class _Past:
    """What a note says: how often each tool was called, and how that ended."""

    steps: int = 0
    ended: Counter[tuple[str, int]] = field(default_factory=Counter)

    def after(self, steps: Sequence[_Step]) -> "_Past":
        found = Counter(ending for step in steps for ending in _endings(step))
        return _Past(self.steps + len(steps), self.ended + found)

    def messages(self) -> tuple[Message, ...]:
        """The note as the model's own words, and an answer to it: so roles take turns."""
        if not self.steps:
            return ()
        names = sorted({name for name, _ in self.ended})
        lines = [self._line(name, [name]) for name in names[:_MANY]]
        if rest := names[_MANY:]:
            lines.append(self._line("(other)", rest))
        text = "\n".join([_NOTE.format(steps=self.steps), *lines, _END])
        return (Message("assistant", text), Message("user", _GO_ON))

    def _line(self, shown: str, names: Sequence[str]) -> str:
        well, failed, refused = (sum(self.ended[name, how] for name in names) for how in range(3))
        return f"- {shown}: {well} well, {failed} failed, {refused} refused"

    @classmethod
    def read(cls, note: str) -> "_Past":
        """What :meth:`messages` wrote."""
        steps = _STEPS.match(note)
        ended: Counter[tuple[str, int]] = Counter()
        for line in note.splitlines():
            if found := _LINE.fullmatch(line):
                name, *counts = found.groups()
                ended.update({(name, how): int(n) for how, n in enumerate(counts)})
        return cls(int(steps[1]) if steps else 0, ended)


@dataclass(frozen=True, slots=True)
class _Talk:
    """A conversation in its parts."""

    opening: tuple[Message, ...]
    past: _Past
    steps: tuple[_Step, ...]

    @classmethod
    def of(cls, messages: Sequence[Message]) -> "_Talk":
        begin = next((n for n, m in enumerate(messages) if m.role == "assistant"), len(messages))
        opening, rest = tuple(messages[:begin]), list(messages[begin:])
        past = _Past()
        # Nothing but a note is a reply without calls that the conversation goes on after.
        if len(rest) > 1 and not rest[0].tool_calls and rest[1] == Message("user", _GO_ON):
            past, rest = _Past.read(rest[0].content), rest[2:]
        return cls(opening, past, tuple(_steps(rest)))

    def shortened(self, goal: int) -> Iterator[tuple[Message, ...]]:
        """Ever shorter ones: each within the goal, where that can be, and the last the shortest."""
        old = max(0, len(self.steps) - _NEWEST)
        lighter = [step.without(_LARGE) for step in self.steps[:old]]
        steps = (*lighter, *self.steps[old:])
        yield self._folded(steps, goal, keep=min(_NEWEST, len(steps)))
        yield self._folded(steps, goal, keep=1)
        yield self._folded(tuple(s.without(_LARGE) for s in steps), goal, keep=1)
        yield self._folded(tuple(s.without(0) for s in steps), 0, keep=1)

    def _folded(self, steps: tuple[_Step, ...], goal: int, *, keep: int) -> tuple[Message, ...]:
        """With as many of the oldest steps in the note as the goal asks for; ``keep`` stay."""
        weights = [weigh(step.messages) for step in steps]
        left, gone = weigh(self.opening) + sum(weights), 0
        while left > goal and gone < len(steps) - keep:
            left -= weights[gone]
            gone += 1
        past = self.past.after(self.steps[:gone])
        kept = (message for step in steps[gone:] for message in step.messages)
        return (*self.opening, *past.messages(), *kept)


def _steps(messages: Sequence[Message]) -> Iterator[_Step]:
    begun: list[Message] = []
    for message in messages:
        if message.role == "assistant" and begun:
            yield _Step(tuple(begun))
            begun = []
        begun.append(message)
    if begun:
        yield _Step(tuple(begun))


def _longer(message: Message, longest: int) -> bool:
    if message.role != "tool" or _GONE.fullmatch(message.content):
        return False
    return len(message.content) > max(longest, len(_gone(message)))


def _left_out(message: Message) -> Message:
    return replace(message, content=_gone(message))


def _gone(message: Message) -> str:
    return f"[A result of {len(message.content)} characters is left out here; call again for it.]"


def _endings(step: _Step) -> Iterator[tuple[str, int]]:
    answers = {message.tool_call_id: message.content for message in step.results}
    for message in step.messages:
        for call in message.tool_calls:
            # A model may write anything as a name, and a note is read by models.
            name = call.name if _NAME.fullmatch(call.name) else "(other)"
            yield name, _how(answers.get(call.id, ""))


def _how(text: str) -> int:
    if text.startswith("Refused: "):
        return _REFUSED
    return _FAILED if text.startswith(("The call failed (", "The call was not made")) else _WELL
