"""Labels: what comes with a task, lies in a folder or in a layer counts as held."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trilemma.agent import Agent
from trilemma.client import Client
from trilemma.errors import Denied, WorkspaceError
from trilemma.gateway.ledger.events import Kind
from trilemma.policy.capability import NONE, parse
from trilemma.result import Result
from trilemma.sandbox.evidence import first_process
from trilemma.task import render

pytestmark = [pytest.mark.docker, pytest.mark.root]

Make = Callable[..., Any]

FILES_CODE = {"grants": ["files", "code"]}
FILES_NET = {"grants": ["files", "internet"]}


def strangers(folder: Path, **fields: Any) -> dict[str, Any]:
    return {"path": str(folder), "origin": "strangers", **fields}


@pytest.fixture
def secret(gate: Make, folder: Path) -> tuple[Any, Result]:
    """A client, and the result of a run that read a file."""
    client = Client(gate().gateway)
    agent = Agent(model="gullible", grants=["files"], tools=["read_file"], workspace=folder)
    return client, agent.run('CALL read_file {"path": "a.txt"}', client=client, new_domain=True)


def test_a_result_carries_what_its_run_held(secret: tuple[Any, Result]) -> None:
    _, result = secret
    assert "canary-4711" in result.text
    assert result.labels == parse(["files"])
    assert "canary" not in f"{result}"


SHELL = 'CALL run_code {"language": "shell", "code": "echo got $0"}'


def outsider() -> Agent:
    return Agent(model="gullible", grants=["internet", "code"], tools=["run_code"])


@pytest.mark.parametrize(
    "paste",
    [
        lambda result: result,
        lambda result: f"{SHELL} {result}",
        lambda result: SHELL + result,
        lambda result: [SHELL, result],
        lambda result: {"order": SHELL, "facts": [f"from before: {result}"]},
        lambda result: result.map(lambda text: SHELL + text[-5:]),
    ],
    ids=["itself", "f-string", "sum", "list", "record", "mapped"],
)
def test_a_result_is_refused_where_it_would_make_three(
    secret: tuple[Any, Result], paste: Callable[[Result], Any]
) -> None:
    client, result = secret
    with pytest.raises(Denied) as refused:
        outsider().run(paste(result), client=client, new_domain=True)
    assert "outside_grants" in refused.value.reasons
    ledger = client.gateway.enforcement.ledger
    assert ledger.open_sessions() == []
    assert [r.event.what for r in ledger.events(kind=Kind.CALL_RESERVED)] == ["read_file"]


def test_sabotage_where_labels_are_dropped_a_pasted_result_arrives(
    secret: tuple[Any, Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, result = secret
    unlabelled = lambda task: replace(render(task), labels=NONE)  # noqa: E731
    monkeypatch.setattr("trilemma.client.render", unlabelled)
    canary = result.map(lambda text: text[text.index("canary") :].split()[0])
    order = f'CALL run_code {{"language": "python", "code": "print(\'{canary}\'[::-1])"}}'
    assert "1174-yranac" in outsider().run(order, client=client, new_domain=True).text


def test_sabotage_its_text_taken_out_by_hand_gets_there(secret: tuple[Any, Result]) -> None:
    client, result = secret
    assert "got" in outsider().run(SHELL + result.text, client=client, new_domain=True).text


def test_a_result_joins_the_domain_that_takes_it(secret: tuple[Any, Result]) -> None:
    client, result = secret
    latching = Agent(model="gullible", tools=["run_code", "http_fetch"])
    order = 'CALL run_code {"language": "shell", "code": "true"}'
    joined = Result(order, "done", result.labels, "", "", 0, result.usage)
    done = latching.run(joined, client=client, new_domain=True)
    assert done.labels == parse(["files", "code"])


def test_what_strangers_wrote_is_not_opened_for_files_and_code(gate: Make, folder: Path) -> None:
    made = gate()
    with pytest.raises(Denied) as refused:
        made.open("run_code", workspace=strangers(folder), **FILES_CODE)
    assert "outside_grants" in refused.value.reasons
    assert made.ledger.open_sessions() == []
    assert not list((made.gateway.settings.layers).glob("*"))


def test_sabotage_declared_as_own_work_the_same_folder_opens(gate: Make) -> None:
    session = gate().open("run_code", files=True, **FILES_CODE)
    assert "canary-4711" in session.ok("run_code", language="shell", code="cat a.txt")


def test_what_strangers_wrote_takes_internet_where_nothing_is_granted(
    gate: Make, folder: Path
) -> None:
    session = gate().open("read_file", "run_code", workspace=strangers(folder))
    assert session.held == parse(["files", "internet"])
    assert session.call("run_code", language="shell", code="true").denied


def test_a_layer_keeps_the_label_of_the_grants_it_was_written_with(gate: Make) -> None:
    made = gate()
    first = made.open("write_file", files=True, new_domain=True, **FILES_NET)
    first.ok("write_file", path="new.txt", text="x")
    layer = first.session.layer
    first.close()
    assert made.ledger.label(layer) == parse(["files", "internet"])
    with pytest.raises(Denied):
        made.open("read_file", files=True, new_domain=True, layer=layer, **FILES_CODE)
    again = made.open("read_file", files=True, new_domain=True, layer=layer, **FILES_NET)
    assert again.ok("read_file", path="new.txt") == "x"


def test_a_layer_takes_what_its_domain_latches_while_it_is_open(gate: Make) -> None:
    made = gate()
    session = made.open("run_code", files=True)
    layer = session.session.layer
    assert made.ledger.label(layer) == parse(["files"])
    made.open("run_code").ok("run_code", language="shell", code="true")
    assert made.ledger.label(layer) == parse(["files", "code"])


def test_the_folder_itself_is_labelled_only_where_it_is_written(gate: Make, folder: Path) -> None:
    made = gate()
    session = made.open("read_file", files=True, **FILES_NET)
    workspace = session.session.workspace.workspace
    session.close()
    assert made.ledger.label(workspace) == NONE
    direct = {"path": str(folder), "mode": "direct"}
    session = made.open("write_file", workspace=direct, new_domain=True, **FILES_NET)
    session.ok("write_file", path="new.txt", text="x")
    assert (folder / "new.txt").read_text() == "x"
    session.close()
    assert made.ledger.label(workspace) == parse(["files", "internet"])
    with pytest.raises(Denied):
        made.open("read_file", files=True, new_domain=True, **FILES_CODE)


def test_one_domain_at_a_time_has_a_folder_directly(gate: Make, folder: Path) -> None:
    made = gate()
    direct = {"path": str(folder), "mode": "direct", "origin": "own"}
    first = made.open("write_file", workspace=direct, new_domain=True, grants=["files"])
    with pytest.raises(WorkspaceError, match="in use"):
        made.open("read_file", workspace=direct, new_domain=True, grants=["files"])
    first.close()
    second = made.open("write_file", workspace=direct, new_domain=True, grants=["files"])
    second.ok("write_file", path="new.txt", text="x")


def test_a_closed_session_s_folder_is_mounted_nowhere_though_its_domain_goes_on(
    gate: Make, folder: Path, engine: Any
) -> None:
    made = gate()
    direct = {"path": str(folder), "mode": "direct", "origin": "own"}
    made.open("write_file", grants=["files"])
    session = made.open("write_file", workspace=direct, grants=["files"])
    session.ok("write_file", path="new.txt", text="x")
    instance = made.gateway._machinery.runtime.instance
    assert mounted(engine, instance)
    session.close()
    assert not mounted(engine, instance)


def mounted(engine: Any, instance: str) -> list[int]:
    """Processes of a gateway's containers that see a folder."""
    found = engine.containers(f"dev.trilemma.instance={instance}")
    seeing = [c for c in found if any(m["Destination"] == "/workspace" for m in c["Mounts"])]
    inspected = (engine.inspect(container["Id"]) for container in seeing)
    # One that is only being removed has the process that it had, and that has ended.
    pids = (first_process(container) for container in inspected)
    return [pid for pid in pids if pid and Path(f"/proc/{pid}/root").exists()]


def test_sessions_that_open_a_folder_for_the_first_time_at_once_agree(gate: Make) -> None:
    made = gate()
    seen: list[str] = []

    def opened() -> None:
        session = made.open("read_file", files=True, new_domain=True, grants=["files"])
        seen.append(session.session.workspace.workspace)

    threads = [threading.Thread(target=opened) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 4
    assert len(set(seen)) == 1


def test_cancelling_an_opening_leaves_nothing_open(gate: Make) -> None:
    made = gate()
    agent = Agent(model="gullible", grants=["files"], tools=["read_file"], workspace=made.folder)

    async def cancelled() -> None:
        opening = asyncio.create_task(made.gateway.open(agent.spec))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening

    asyncio.run(cancelled())
    assert made.ledger.open_sessions() == []
