"""What comes together where, without the run-time latch: a fixpoint, and short ways to it.

A *gain* is a place and a set of capabilities that comes together there. Gains are found in the
order of how many steps they take, as in Dijkstra's algorithm: an act is one step, a flow carries
a gain on by one more, and two gains at one place make a larger one. Sets only grow and there are
seven of them, so this ends. A step that two gains share counts twice while they are compared, so
a way may be longer than the shortest by what is shared. The cost is linear in acts and flows but
for a logarithm.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from ...policy.capability import CapabilitySet
from ...policy.rule import violation
from .design import Act, Design, Flow, Place

Gain = tuple[Place, CapabilitySet]


@dataclass(frozen=True, slots=True)
class Step:
    """One step on the way, and what is carried by it."""

    what: Act | Flow
    carries: CapabilitySet


@dataclass(frozen=True, slots=True)
class Breach:
    """A domain that would take more than it may, and a short way there."""

    at: Place
    gathers: CapabilitySet
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class _Joined:
    """Two smaller gains at one place."""

    one: Gain
    other: Gain


_Reason = Act | Flow | _Joined


class Gathering:
    """All gains of a design, each with the first reason that was found for it."""

    def __init__(self, design: Design) -> None:
        self._design = design
        self._cost: dict[Gain, int] = {}
        self._reason: dict[Gain, _Reason] = {}
        self._sets: dict[Place, list[CapabilitySet]] = defaultdict(list)
        self._out: dict[Place, list[Flow]] = defaultdict(list)
        for flow in design.flows:
            self._out[flow.source].append(flow)
        self._run()

    def breaches(self) -> list[Breach]:
        """Every domain that would gather three, or more than its grants; the shortest first."""
        found = [b for place in self._design.places if place.domain for b in self._at(place)]
        return sorted(found, key=lambda breach: len(breach.steps))

    def held(self, place: Place) -> CapabilitySet:
        """Everything that comes together at a place."""
        return frozenset().union(*self._sets[place])

    def _at(self, place: Place) -> Iterator[Breach]:
        """The shortest of the ways found to break the rule at one domain, if there is any."""
        broken = [
            gathers
            for gathers in self._sets[place]
            if violation(frozenset(), gathers, place.grants) is not None
        ]
        ways = [Breach(place, gathers, tuple(self._steps((place, gathers)))) for gathers in broken]
        yield from sorted(ways, key=lambda breach: (len(breach.steps), -len(breach.gathers)))[:1]

    def _run(self) -> None:
        tie = count()
        waiting: list[tuple[int, int, Gain, _Reason]] = []
        for act in self._design.acts:
            heapq.heappush(waiting, (1, next(tie), (act.at, act.brings), act))
        while waiting:
            cost, _, gain, reason = heapq.heappop(waiting)
            if gain in self._cost:
                continue
            self._cost[gain], self._reason[gain] = cost, reason
            for further, more, why in self._from(gain):
                if further not in self._cost:
                    heapq.heappush(waiting, (cost + more, next(tie), further, why))

    def _from(self, gain: Gain) -> Iterator[tuple[Gain, int, _Reason]]:
        place, has = gain
        for other in self._sets[place]:
            if not (other <= has or has <= other):
                joined = _Joined((place, other), gain)
                yield (place, has | other), self._cost[place, other], joined
        self._sets[place].append(has)
        for flow in self._out[place]:
            yield (flow.target, has), 1, flow

    def _steps(self, gain: Gain) -> list[Step]:
        """The way to a gain, each step once, in an order in which it can happen."""
        reason, has = self._reason[gain], gain[1]
        if isinstance(reason, Act):
            return [Step(reason, has)]
        if isinstance(reason, Flow):
            return [*self._steps((reason.source, has)), Step(reason, has)]
        steps = self._steps(reason.one)
        return steps + [step for step in self._steps(reason.other) if step not in steps]
