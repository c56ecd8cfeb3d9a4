"""A layer that waits for a person after a run."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of it without looking inside."""

    layer: str
    changes: int
    run_by_themselves: int
    """Changes to files that run, or steer what runs, without anybody opening them."""
    refused: int
    problem: str = ""
    """Why it could not be looked at; then the numbers mean nothing."""
