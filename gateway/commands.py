"""Vetted command-line tools: typed arguments in, one complete argv out, never a shell."""

from typing import Any

from trilemma.errors import SpecError

from ..policy.capability import Capability, CapabilitySet, show
from ..sandbox.base import CommandEntry
from .schemas import PLACEHOLDER, ArgumentSpec, CommandTool
from .tools import ToolDefinition

_WORD = r"(?!-)(?![^\x00]*\x00)(?=[\s\S])"
"""What every value in argv keeps to: a leading dash would be read as an option by the program, a
NUL would end the word early, and after an empty value the rest of its word would lead."""
_PLAIN = r"(?!@)[^\r\n]*"
"""A value without a pattern of its own: one line, and no name of a file with more arguments."""
_END = r"(?![\s\S])"
"""The end of the text. A dollar would also match before a last newline."""


def definition(command: CommandTool) -> ToolDefinition:
    """The tool that a command declares.

    Raises:
        SpecError: it asks for the internet without code, and a program cannot use structured
            egress; or a number that may be negative begins a word.
    """
    needs: CapabilitySet | None = None if command.needs is None else frozenset(command.needs)
    if needs is not None and Capability.INTERNET in needs and Capability.CODE not in needs:
        raise SpecError(
            f"command {command.command!r} needs {show(needs)}, but a program can reach the "
            "internet through a tunnel only, which takes code; use http_fetch, or declare "
            "needs: [internet, code]"
        )
    _refuse_signs(command)
    return ToolDefinition(
        name=command.command,
        description=command.description,
        parameters=_schema(command),
        declared=needs,
        runner=command,
    )


def entry(command: CommandTool, arguments: dict[str, Any]) -> CommandEntry:
    """The one program execution that a call stands for. ``arguments`` fit the schema already.

    A word that names an absent or false argument is left out whole.
    """
    words = [command.executable]
    for template in command.argv:
        word = _word(command, template, arguments)
        if word is not None:
            words.append(word)
    stdin = arguments.get(command.stdin) if command.stdin else None
    return CommandEntry(command.executable, command.sha256, tuple(words), stdin)


def _refuse_signs(command: CommandTool) -> None:
    """A negative number at the beginning of a word would be an option."""
    for template in command.argv:
        first = PLACEHOLDER.match(template)
        minimum = command.arguments[first[1]].minimum if first else None
        if first and minimum is not None and minimum < 0:
            raise SpecError(
                f"command {command.command!r}: {first[1]!r} may be negative and begins the word "
                f"{template!r}, where a program would read an option; write it as --name={template}"
            )


def _word(command: CommandTool, template: str, arguments: dict[str, Any]) -> str | None:
    texts = {
        name: _text(command.arguments[name], arguments.get(name))
        for name in PLACEHOLDER.findall(template)
    }
    if None in texts.values():
        return None
    # In one pass: a value that looks like a placeholder stays as it is.
    return PLACEHOLDER.sub(lambda found: str(texts[found[1]]), template)


def _text(spec: ArgumentSpec, value: Any) -> str | None:
    if spec.type == "boolean":
        return spec.flag if value is True else None
    if value is None:
        return None
    # JSON writes 5.0 for a whole number too; a program reads digits.
    return str(int(value)) if spec.type == "integer" else str(value)


def _schema(command: CommandTool) -> dict[str, Any]:
    words = {name for template in command.argv for name in PLACEHOLDER.findall(template)}
    return {
        "type": "object",
        "properties": {
            name: _property(spec, in_argv=name in words) for name, spec in command.arguments.items()
        },
        "required": [n for n, s in command.arguments.items() if s.required and s.type != "boolean"],
        "additionalProperties": False,
    }


def _property(spec: ArgumentSpec, *, in_argv: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"type": spec.type}
    if spec.description:
        found["description"] = spec.description
    if spec.type == "string":
        found["maxLength"] = spec.max_length
        if in_argv:
            found["pattern"] = rf"^{_WORD}(?:{spec.pattern or _PLAIN}){_END}"
        elif spec.pattern:
            found["pattern"] = rf"^(?:{spec.pattern}){_END}"
        if spec.enum is not None:
            found["enum"] = list(spec.enum)
    if spec.minimum is not None:
        found["minimum"] = spec.minimum
    elif spec.type in ("integer", "number"):
        # A number's sign is a leading dash as well.
        found["minimum"] = 0
    if spec.maximum is not None:
        found["maximum"] = spec.maximum
    return found
