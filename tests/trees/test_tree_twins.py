"""Each control removed in turn: then a path is open by which three come together, and is seen."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.trees.machine import (
    BYTE,
    Trees,
    agent,
)
from tests.trees.puppet import TOOLS

from trilemma.gateway import admission, crossings, local, session, teamspec
from trilemma.gateway.delegation import attenuated, opening
from trilemma.gateway.delegation.mediated import MediatedRoute
from trilemma.gateway.delegation.standing import Standing
from trilemma.gateway.enforcement import Actor, new_id
from trilemma.gateway.ledger import rules
from trilemma.gateway.teamspec import AttenuatedSpec
from trilemma.gateway.workspaces.registry import Workspaces
from trilemma.policy.capability import NONE

Remove = Callable[[pytest.MonkeyPatch], None]


def attenuation(patch: pytest.MonkeyPatch) -> None:
    """A sub-agent has what it asks for, in a domain of its own that nobody counts."""

    def admit(
        shared: Any, machinery: Any, parent: Standing, child: AttenuatedSpec, *rest: Any
    ) -> Any:
        here = parent.actor
        grants = child.granted or here.grants
        other = Actor(here.principal, new_id("dom"), here.session, grants)
        wide = replace(parent.share, grants=grants)
        return opening.admit_attenuated(
            shared, machinery, replace(parent, actor=other, share=wide), child, *rest
        )

    for module in (teamspec, attenuated):
        patch.setattr(module, "excesses", lambda child, has: iter(()))
    patch.setattr(local, "admit_attenuated", admit)


def mediation(patch: pytest.MonkeyPatch) -> None:
    """Free text crosses as if it carried nothing."""
    patch.setattr(MediatedRoute, "label", property(lambda route: NONE))
    patch.setattr(MediatedRoute, "_down", lambda route, held: NONE)


def labels(patch: pytest.MonkeyPatch) -> None:
    """Folders are opened as if nobody had ever written to them."""
    patch.setattr(Workspaces, "_label", lambda workspaces, names: NONE)
    patch.setattr(rules, "_check_labels", lambda event, facts: None)


def results(patch: pytest.MonkeyPatch) -> None:
    """Earlier results are read as if they carried nothing."""
    for module in (admission, session):
        patch.setattr(module, "take_labels", lambda enforcement, actor, brings: None)


def budgets(patch: pytest.MonkeyPatch) -> None:
    """Values of types cross for nothing."""
    patch.setattr(crossings, "_charged", lambda event, account, bits: event)
    patch.setattr(rules, "_check_crossing", lambda event, facts: None)


WORK = {"path": "work", "origin": "own", "mode": "direct"}
FILES_CODE, FILES_INTERNET = ["files", "code"], ["files", "internet"]
INTERNET_CODE = ["internet", "code"]


def helped(trees: Trees, **child: Any) -> Any:
    """A session with files and code that has used both, and a helper."""
    here = trees.open(agent(FILES_CODE, WORK, [{"agent": "helper", **child}], []), False, False)
    trees.work(here, ["write_file", "run_code"], False)
    return here


def mediated(crossing: Any) -> dict[str, Any]:
    """A helper of another domain, which fetches something and answers."""
    spec = agent(INTERNET_CODE, None, [], ["http_fetch"])
    return {"mode": "mediated", "spec": spec, "asks": BYTE, "answers": crossing}


def by_a_wider_child(trees: Trees) -> None:
    here = helped(trees, mode="attenuated")
    wider = {"agent": "wider", "mode": "attenuated", "grants": ["internet"], "tools": list(TOOLS)}
    trees.delegate_to_somebody_new(here, {**wider, "workspace": "none"}, ["http_fetch"])


def by_a_free_answer(trees: Trees) -> None:
    trees.work(helped(trees, **mediated("free")), [(0, [])], False)


def by_a_folder(trees: Trees) -> None:
    for grants, tool in ((FILES_INTERNET, "http_fetch"), (FILES_CODE, "run_code")):
        here = trees.open(agent(grants, WORK, [], []), False, False)
        if hasattr(here, "id"):
            trees.work(here, [tool, "write_file"], False)
            trees.close(here)


def by_a_result(trees: Trees) -> None:
    first = trees.open(agent(INTERNET_CODE, None, [], []), False, False)
    trees.work(first, ["http_fetch"], False)
    second = trees.open(agent(FILES_CODE, WORK, [], []), False, False)
    trees.work(second, ["run_code"], False)
    trees.world.results.reverse()
    trees.take_a_result(second)


def in_small_coin(trees: Trees) -> None:
    trees.work(helped(trees, **mediated(BYTE)), [(0, [])] * 4, False)


REMOVED = [
    (attenuation, by_a_wider_child),
    (mediation, by_a_free_answer),
    (labels, by_a_folder),
    (results, by_a_result),
    (budgets, in_small_coin),
]


def tried(path: Callable[[Trees], None]) -> None:
    """Let the machine take this path, and ask its oracle."""
    trees = Trees()
    trees.begin()
    try:
        path(trees)
        trees.nobody_ever_has_three_or_more_than_was_granted()
    finally:
        trees.world.end(sound=False)


@pytest.mark.parametrize("path", [path for _, path in REMOVED])
def test_the_path_is_closed(path: Callable[[Trees], None]) -> None:
    tried(path)


@pytest.mark.parametrize(("remove", "path"), REMOVED)
def test_sabotage_without_one_control_the_oracle_sees_a_laundering_path(
    remove: Remove, path: Callable[[Trees], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    remove(monkeypatch)
    with pytest.raises(AssertionError, match=r"laundering path: domain \d+ has .*\n  1\. "):
        tried(path)
