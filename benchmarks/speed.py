"""How long a model takes: by a stated assumption, or as a real engine does.

An assumed engine waits by a profile, and really keeps prefixes per salt. A real one is asked to
read the same request and to write as many tokens.
"""

import json
import threading
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .prefixcache import PrefixCache, Request, as_read


class Engine(Protocol):
    """Takes the time of a request, and says how many of its tokens it had already."""

    def serve(self, request: Request, prompt: Sequence[int], answer: Sequence[int]) -> int:
        """Read the prompt, write the answer; tokens of the prompt that were cached."""
        ...


@dataclass(frozen=True, slots=True)
class Profile:
    """An assumed speed. The defaults are a planner's figures for a 32B model, 4 GPUs a side."""

    prefill: float = 0.153 / 2000
    """Seconds for a token that is not cached: first token of 8000 after 0.153 s, 6000 cached."""
    decode: float = 0.012
    """Seconds for a token of the answer."""


@dataclass(slots=True)
class Assumed:
    """Reads one prompt at a time, as one prefill worker does; writes all answers side by side."""

    profile: Profile
    _cache: PrefixCache = field(default_factory=PrefixCache)
    _reading: threading.Lock = field(default_factory=threading.Lock)

    def serve(self, request: Request, prompt: Sequence[int], answer: Sequence[int]) -> int:
        """Wait as long as the profile says."""
        salt = request.get("cache_salt", "")
        with self._reading:
            cached = self._cache.known(salt, prompt)
            time.sleep((len(prompt) - cached) * self.profile.prefill)
            self._cache.add(salt, prompt)
        time.sleep(len(answer) * self.profile.decode)
        self._cache.add(salt, [*prompt, *answer])
        return cached


@dataclass(frozen=True, slots=True)
class Real:
    """An engine with an OpenAI-compatible server. What it writes itself is thrown away."""

    url: str
    model: str

    def serve(self, request: Request, prompt: Sequence[int], answer: Sequence[int]) -> int:
        """Have it read the same, and write as much."""
        body = {
            "model": self.model,
            "prompt": as_read(request),
            "max_tokens": len(answer),
            "ignore_eos": True,
            **{name: request[name] for name in ("priority", "cache_salt") if name in request},
        }
        asked = urllib.request.Request(
            f"{self.url}/completions",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(asked) as answered:
            usage = json.load(answered)["usage"]
        details = usage.get("prompt_tokens_details") or {}
        share: float = (details.get("cached_tokens") or 0) / usage["prompt_tokens"]
        # In its own tokens; the share is what counts, so it is given in ours.
        return round(len(prompt) * share)
