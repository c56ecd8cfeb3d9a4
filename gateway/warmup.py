"""One prefill before a fan-out, so that siblings find what they share read already.

Without it, siblings that begin together each bring the same long prefix to servers that do not have
it yet, and some of them read it again side by side. With it one short call reads it, and the others
wait for that. It is a call like any other: decided, recorded, and paid for by whoever fans out.
"""

import asyncio

from trilemma.errors import Denied, LimitReached, ModelError

from ..inference.messages import Message
from ..subagents.budget import Purse
from ..subagents.prompt import SharedPrefix
from .models import ModelCalls

FEWEST = 3
"""Siblings for which it is done. Of two, the first warms the cache for the second anyway."""
_SECONDS = 30.0
"""Nobody waits longer for it than this: more than a long prefix takes to be read."""
_NOTHING_YET = "..."


async def warm_up(models: ModelCalls, prefix: SharedPrefix, siblings: int, purse: Purse) -> bool:
    """Have the model read a prefix, where that pays for so many siblings. Whether it did.

    That it failed or was refused is no failure of the fan-out: siblings meet the same or do not.

    Raises:
        LedgerError: it cannot be recorded; nothing more may run.
    """
    if siblings < FEWEST or not models.caches or not _spare(purse, siblings):
        return False
    opening = (*prefix.messages, Message("user", prefix.context or _NOTHING_YET))
    try:
        async with asyncio.timeout(_SECONDS):
            await models.call(opening, prefix.tools, None, purse, max_tokens=1)
    except (ModelError, Denied, LimitReached, TimeoutError):
        return False
    return True


def _spare(purse: Purse, siblings: int) -> bool:
    """Whether a step is left that neither a sibling nor the one that waits for them needs."""
    steps = purse.remaining().steps
    return steps is None or steps > siblings + 1
