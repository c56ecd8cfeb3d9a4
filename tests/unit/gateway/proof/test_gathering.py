"""The fixpoint finds everything that can come together, by the shortest way, and nothing else."""

from itertools import combinations

from hypothesis import given, strategies as st

from trilemma.gateway.proof.design import Act, Design, Flow, How, Place
from trilemma.gateway.proof.gathering import Gathering
from trilemma.policy.capability import ALL, NONE, Capability, CapabilitySet

PLACES = [Place(name, domain=name != "folder") for name in ("a", "b", "c", "folder")]

acts = st.builds(
    lambda at, brings: Act(at, brings, How.TOOL, f"{at.name} uses {sorted(brings)}"),
    st.sampled_from(PLACES),
    st.sets(st.sampled_from(Capability), min_size=1, max_size=2).map(frozenset),
)
flows = st.builds(
    lambda ends: Flow(ends[0], ends[1], How.ASKS, f"{ends[0].name} to {ends[1].name}"),
    st.permutations(PLACES).map(lambda order: order[:2]),
)
designs = st.builds(
    lambda acts, flows: Design(tuple(PLACES), tuple(acts), tuple(flows)),
    st.lists(acts, max_size=5, unique=True),
    st.lists(flows, max_size=6, unique=True),
)


def everything(design: Design) -> dict[Place, CapabilitySet]:
    """What is where in the end, by doing everything until nothing changes."""
    held = dict.fromkeys(PLACES, NONE)
    while True:
        after = dict(held)
        for act in design.acts:
            after[act.at] |= act.brings
        for flow in design.flows:
            after[flow.target] |= after[flow.source]
        if after == held:
            return held
        held = after


@given(designs)
def test_it_finds_what_doing_everything_finds(design: Design) -> None:
    gathering = Gathering(design)
    for place, has in everything(design).items():
        assert gathering.held(place) == has


@given(designs)
def test_a_domain_is_named_exactly_where_it_would_gather_three(design: Design) -> None:
    named = {breach.at for breach in Gathering(design).breaches()}
    assert named == {p for p, has in everything(design).items() if p.domain and has == ALL}


@given(designs)
def test_the_steps_suffice_and_stand_in_an_order_that_works(design: Design) -> None:
    for breach in Gathering(design).breaches():
        held = dict.fromkeys(PLACES, NONE)
        for step in breach.steps:
            if isinstance(step.what, Act):
                held[step.what.at] |= step.what.brings
            else:
                assert step.carries <= held[step.what.source]
                held[step.what.target] |= held[step.what.source]
        assert held[breach.at] == breach.gathers


@given(designs)
def test_the_first_way_is_no_longer_than_any_other(design: Design) -> None:
    """Where one act at a time leads there: by trying all smaller sets of acts and flows."""
    for breach in Gathering(design).breaches():
        # Shared steps are counted twice while it searches, so only a lower bound is promised.
        needed = max(1, len(breach.steps) - len(Capability))
        everything_there = (*design.acts, *design.flows)
        for size in range(needed):
            for few in combinations(everything_there, size):
                part = Design(
                    design.places,
                    tuple(x for x in few if isinstance(x, Act)),
                    tuple(x for x in few if isinstance(x, Flow)),
                )
                assert everything(part)[breach.at] != ALL


def steps_to(design: Design, place: Place, capability: Capability) -> int:
    """The fewest steps by which one capability comes there, found step by step."""
    reached = {act.at for act in design.acts if capability in act.brings}
    steps = 1
    while place not in reached:
        reached |= {flow.target for flow in design.flows if flow.source in reached}
        steps += 1
    return steps


@given(designs)
def test_a_way_has_no_more_steps_than_the_shortest_ways_of_the_three_together(
    design: Design,
) -> None:
    for breach in Gathering(design).breaches():
        parts = [steps_to(design, breach.at, capability) for capability in breach.gathers]
        assert max(parts) <= len(breach.steps) <= sum(parts)


@given(designs, flows)
def test_one_flow_more_never_makes_a_team_better(design: Design, flow: Flow) -> None:
    more = Design(design.places, design.acts, (*design.flows, flow))
    before = {breach.at for breach in Gathering(design).breaches()}
    assert before <= {breach.at for breach in Gathering(more).breaches()}
