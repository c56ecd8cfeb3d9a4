"""A decision, with its reasons and the digest of the policy."""

import threading
from dataclasses import replace
from functools import partial

from trilemma.gateway.local import decision_point
from trilemma.policy.capability import Capability, CapabilitySet
from trilemma.policy.decide import DecisionPoint
from trilemma.policy.operator import EgressPolicy, OperatorPolicy
from trilemma.policy.request import AccessRequest, Act, Cause, EgressFacts, ToolFacts

from .measure import Finding, Sample, Target, timed
from .stage import Stage

TITLE = "One decision"
METHOD = """
`DecisionPoint.decide` on the shipped policy: facts of the act built and encoded, the Rego policy
evaluated in this process, its answer read, the rule applied over it; the answer carries verdict,
reason codes, causes and the policy's digest. Three acts take turns: a tool call that is allowed,
one that is denied since it would take a third capability, and a request that wants to leave. Each
comes from another principal each time, so that none was judged before; *asked again* is the same
question once more, whose verdict is remembered. The policy is loaded once for each thread that
decides; the last line is a new thread's first decision.
"""
_DECISIONS = 3000
_THREADS = 40
_PAIR = frozenset({Capability.FILES, Capability.INTERNET})
_CAUSE = (
    Cause("files", 3, "workspace mail", "2026-01-01T00:00:00.000000+00:00"),
    Cause("internet", 5, "http_fetch", "2026-01-01T00:00:01.000000+00:00"),
)
_EGRESS = EgressFacts(
    host="news.example",
    port=443,
    scheme="https",
    method="GET",
    structured=True,
    listed=True,
    bytes_out=120,
    budget_left=16_000,
)


def run(stage: Stage) -> Finding:
    """Measure."""
    point = decision_point(OperatorPolicy(egress=EgressPolicy()))
    acts = {
        "tool call, allowed": _tool("read_file", frozenset({Capability.FILES})),
        "tool call, denied": _tool("run_code", frozenset({Capability.CODE})),
        "egress, allowed": _request(Act.EGRESS, frozenset({Capability.INTERNET}), egress=_EGRESS),
    }
    times: dict[str, list[float]] = {name: [] for name in acts}
    again: list[float] = []
    for number in range(stage.times(_DECISIONS)):
        for name, act in acts.items():
            new = replace(act, principal=f"user:{number}")
            times[name] += timed(partial(point.decide, new), 1)
        last = replace(acts["egress, allowed"], principal=f"user:{number}")
        again += timed(partial(point.decide, last), 1)
    samples = [Sample.of_seconds(name, found) for name, found in times.items()]
    slowest = max(sample.p50 for sample in samples)
    samples.append(Sample.of_seconds("egress, asked again", again))
    first = acts["tool call, allowed"]
    fresh = [
        _in_new_thread(point, replace(first, principal=f"user:thread-{number}"))
        for number in range(stage.times(_THREADS))
    ]
    samples.append(Sample.of_seconds("first decision of a thread", fresh))
    return Finding(
        tuple(samples), targets=(Target("slowest kind of decision, p50 in ms", slowest, 0.2),)
    )


def _tool(name: str, needs: CapabilitySet) -> AccessRequest:
    return _request(Act.TOOL, needs, tool=ToolFacts(name, "sha256:" + "0" * 64, declared=True))


def _request(
    act: Act,
    needs: CapabilitySet,
    tool: ToolFacts | None = None,
    egress: EgressFacts | None = None,
) -> AccessRequest:
    return AccessRequest(
        act=act,
        principal="user:bench",
        needs=needs,
        held=_PAIR,
        grants=None,
        tool=tool,
        egress=egress,
        cause=_CAUSE,
    )


def _in_new_thread(point: DecisionPoint, act: AccessRequest) -> float:
    times: list[float] = []
    thread = threading.Thread(target=lambda: times.extend(timed(partial(point.decide, act), 1)))
    thread.start()
    thread.join()
    return times[0]
