"""A world without containers, models or processes: what decides in it is real."""

import pytest
from hypothesis import HealthCheck, settings
from tests.trees.machinery import MemoryEgress
from tests.trees.world import World

from trilemma.gateway import local
from trilemma.gateway.delegation import opening
from trilemma.gateway.local import decision_point
from trilemma.policy.operator import OperatorPolicy

POINT = decision_point(OperatorPolicy())
"""Read once: it takes longer than all the rest of a new world."""
USUAL = settings(
    max_examples=120,
    stateful_step_count=14,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=False,
    derandomize=True,
)


@pytest.fixture(autouse=True)
def in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every model is a puppet, and no process stands at the way out."""
    monkeypatch.setattr(local, "DomainEgress", MemoryEgress)
    monkeypatch.setattr(local, "decision_point", lambda policy: POINT)
    for module in (local, opening):
        monkeypatch.setattr(module, "resolve_model", lambda name: World.now.puppet(name))
