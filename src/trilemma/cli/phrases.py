"""The words that views share: costs, reasons, endings."""

from trilemma.cli.escape import line
from trilemma.cli.kept import Kept
from trilemma.inference.messages import Usage
from trilemma.policy.reasons import meaning
from trilemma.result import Result


def cost(usage: Usage) -> str:
    """What the model's provider charges, as far as it is known."""
    if not usage.priced:
        return "cost unknown"
    return f"${usage.cost_usd:.4f}" if usage.cost_usd else "no cost"


def counted(number: int, noun: str, nouns: str = "") -> str:
    """``1 step``, ``2 steps``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {nouns or noun + 's'}"


def duration(seconds: float) -> str:
    """A time that people read at a glance."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def because(reasons: tuple[str, ...]) -> str:
    """The first reason of a refusal, in words."""
    return meaning(reasons[0]) if reasons else "no reason was given"


def summary(result: Result, seconds: float) -> str:
    """How a run ended, in one line."""
    usage = result.usage
    tokens = usage.input_tokens + usage.output_tokens
    ending = "done" if result.ok else f"stopped by the limit on {result.stop}"
    parts = [ending, counted(result.steps, "step"), counted(tokens, "token"), cost(usage)]
    if result.denials:
        parts.append(counted(len(result.denials), "call") + " denied")
    return ", ".join([*parts, duration(seconds)])


def next_command(kept: Kept | None) -> str:
    """What a person does with the changes."""
    if kept is None:
        return "no changes to the workspace"
    if kept.problem:
        return f"layer {kept.layer} cannot be looked at: {line(kept.problem)}"
    text = f"layer {kept.layer} holds {counted(kept.changes, 'change')}"
    if kept.run_by_themselves:
        text += f", {kept.run_by_themselves} of them to what runs by itself"
    if kept.refused:
        text += f", and {counted(kept.refused, 'entry', 'entries')} never applied"
    return f"{text}; look: trilemma workspace diff {kept.layer}"
