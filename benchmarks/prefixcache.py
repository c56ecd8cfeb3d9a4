"""What a prefix cache would serve: requests as the tokens that an engine reads, first to last."""

import functools
import json
import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

Request = Mapping[str, Any]
"""The JSON body of a chat request."""


class PrefixCache:
    """A radix cache that forgets nothing: per salt, every prefix that was read or written.

    A prefix is known by the hash of its tokens, each folded into that of the prefix before it.
    """

    def __init__(self) -> None:
        self._known: dict[str, set[int]] = {}

    def known(self, salt: str, tokens: Sequence[int]) -> int:
        """How many tokens at the start were there before, under the same salt."""
        seen, count = self._known.get(salt, set()), 0
        for prefix in _prefixes(tokens):
            if prefix not in seen:
                break
            count += 1
        return count

    def add(self, salt: str, tokens: Sequence[int]) -> None:
        """Keep them and all that they begin with."""
        self._known.setdefault(salt, set()).update(_prefixes(tokens))


def _prefixes(tokens: Sequence[int]) -> list[int]:
    folded, found = 0, []
    for token in tokens:
        folded = hash((folded, token))
        found.append(folded)
    return found


def as_read(request: Request) -> str:
    """A request as one text, in the order of common chat templates: system, tools, messages."""
    parts = [f"<|im_start|>system\n{json.dumps(request.get('tools', []))}<|im_end|>\n"]
    for message in request["messages"]:
        said = [str(message.get("content") or "")]
        said += [json.dumps(call["function"]) for call in message.get("tool_calls", [])]
        text = f"<|im_start|>{message['role']}\n" + "\n".join(said) + "<|im_end|>\n"
        # Templates put the instructions before the tools.
        parts.insert(0, text) if message["role"] == "system" else parts.append(text)
    return "".join([*parts, "<|im_start|>assistant\n"])


def tokens(text: str) -> list[int]:
    """Tokens of OpenAI's cl100k_base, whose vocabulary LiteLLM brings along."""
    found: list[int] = _encoding().encode(text, disallowed_special=())
    return found


@functools.cache
def _encoding() -> Any:
    litellm = find_spec("litellm")
    if litellm is None or not litellm.submodule_search_locations:
        raise SystemExit("counting tokens needs LiteLLM: pip install 'trilemma[models]'")
    place = Path(litellm.submodule_search_locations[0]) / "litellm_core_utils" / "tokenizers"
    os.environ["TIKTOKEN_CACHE_DIR"] = str(place)
    import tiktoken

    return tiktoken.get_encoding("cl100k_base")
