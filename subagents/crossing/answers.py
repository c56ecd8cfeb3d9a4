"""What comes up from a mediated child: a value, or one of a closed list of failures."""

import math

from .base import bits_for
from .compound import CrossingType

FAILURES = ("no_answer", "limit", "refused")
"""All that is ever said about why there is no value. Why in truth stands in the ledger."""


def answer_bits(answers: CrossingType, beside: int = 0) -> int:
    """The capacity of one answer, failures counted. 0 where free text comes: it has labels.

    ``beside`` are bits that the other side can learn besides, from what it finds used up.
    """
    return 0 if answers.free else bits_for(answers.values + len(FAILURES)) + beside


def ask_bits(asks: CrossingType, choices: int = 1) -> int:
    """The capacity of one ask, when one of ``choices`` children is asked at that moment.

    That it is asked at all, and which, says something too. With one bit for that, all the ways
    in which a budget of N bits can be spent tell no more than N + 1 bits apart, however many
    asks there are: each further ask halves what is left (Kraft's inequality).
    """
    return 0 if asks.free else asks.bits + math.ceil(math.log2(max(1, choices))) + 1
