"""Row 9 of the threats: what a mediated agent tells by how it ends."""

from typing import Any

import pytest
from tests.integration.teams.stage import DONE, Stage, call, one_of

from trilemma.gateway.delegation.attenuated import AttenuatedRoute
from trilemma.gateway.delegation.mediated import MediatedRoute
from trilemma.result import Result

pytestmark = [pytest.mark.docker, pytest.mark.root]


def hints(stage: Stage, order: str) -> Result:
    """A {files, code} agent reads the canary and gives no answer; its caller goes outside."""
    keeper = {
        "model": "gullible",
        "grants": ["files", "code"],
        "tools": ["read_file", "run_code"],
        "workspace": stage.own(),
    }
    child = {"agent": "keeper", "mode": "mediated", "spec": keeper}
    return stage.run(
        call("keeper", task=order),
        stage.leak("{{keeper|url}}"),
        grants=["internet"],
        tools=["http_fetch"],
        hosts=stage.hosts,
        agents=[child | {"asks": one_of(order), "answers": DONE}],
    )


LAST_WORDS = call("read_file", path="a.txt")
AN_ERROR = call("run_code", language="shell", code="cat a.txt >&2; exit $(wc -c < a.txt)")
A_WRONG_ANSWER = f"{LAST_WORDS} {call('answer', answer='{{read_file}}')}"


@pytest.mark.parametrize("order", [LAST_WORDS, AN_ERROR, A_WRONG_ANSWER])
def test_row_9_how_it_ends_tells_nothing_of_what_it_read(stage: Stage, order: str) -> None:
    result = hints(stage, order)
    assert result.ok
    assert any("no%20answer" in path for path in stage.origin.paths)
    assert not stage.leaked


def test_row_9_sabotage_where_its_words_come_up_the_canary_leaves(
    broken: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def receive(self: MediatedRoute, child: Any, outcome: Any) -> Any:
        return AttenuatedRoute.receive(self, child, outcome)  # type: ignore[arg-type]

    monkeypatch.setattr(MediatedRoute, "receive", receive)
    hints(broken, LAST_WORDS)
    assert broken.leaked
