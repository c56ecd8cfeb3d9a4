"""What a team sends to a model inside: one prefix, opaque names, and tools that are held to."""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

pytest.importorskip("litellm", reason="needs LiteLLM: pip install 'trilemma[models]'")

from benchmarks.modelserver import ModelServer, model_server
from benchmarks.speed import Assumed, Profile

from trilemma import Agent, Client, Result, child, mediated
from trilemma.gateway.delegation.attenuated import AttenuatedRoute
from trilemma.gateway.local import LocalGateway
from trilemma.gateway.settings import Settings
from trilemma.inference.engines import Engine, InsideServer
from trilemma.inference.litellm import LiteLLMModel
from trilemma.inference.model import ModelRef
from trilemma.subagents.prompt import Layout, SharedPrefix

pytestmark = pytest.mark.docker

MODEL = "cluster/gullible"
INSTRUCTIONS = "You and your readers look things up in notes, and name what you have read. " * 20


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    gateway = LocalGateway.start(settings)
    yield Client(gateway)
    gateway.end()


@pytest.fixture
def server() -> Iterator[ModelServer]:
    """A model inside, as the gateway of a test finds it."""
    with model_server(Assumed(Profile(0, 0))) as server, inside(server):
        yield server


@contextmanager
def inside(server: ModelServer) -> Iterator[None]:
    ref = ModelRef(MODEL, "cluster", inside=True, caches=True)
    model = LiteLLMModel(ref, InsideServer(Engine.SGLANG, server.url))
    with mock.patch("trilemma.gateway.local.resolve_model", return_value=model):
        yield


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.md").write_text(f"note {number}\n")
    return folder


def lead(folder: Path, *agents: Any, **fields: Any) -> Agent:
    usual: dict[str, Any] = {
        "model": MODEL,
        "instructions": INSTRUCTIONS,
        "grants": ["files", "code"],
        "tools": ["write_file", "run_code", "read_file"],
        "workspace": {"path": str(folder), "origin": "own", "mode": "direct"},
    }
    return Agent(**(usual | fields), agents=agents)


def reader(**fields: Any) -> Any:
    usual = {"instructions": "Read one note.", "tools": ["read_file"], "workspace": "read"}
    return child("reader", "Reads notes.", **(usual | fields))


def read_all(client: Client, agent: Agent) -> list[Result]:
    async def main() -> list[Result]:
        async with agent.open(client=client) as team:
            orders = [f'CALL read_file {{"path": "{number}.md"}}' for number in range(5)]
            return await team.map("reader", orders, context="There are five notes. " * 50)

    return asyncio.run(main())


def opening(request: Mapping[str, Any]) -> str:
    """What a server reads before the last message."""
    return json.dumps([request["tools"], request["messages"][:-1]])


def test_siblings_send_one_prefix_that_was_read_before_them(
    client: Client, notes: Path, server: ModelServer
) -> None:
    results = read_all(client, lead(notes, reader()))
    assert [f"note {number}" in result.text for number, result in enumerate(results)] == [True] * 5
    warm_up, *reads = server.reads
    assert (warm_up.answer, warm_up.sibling, warm_up.cached) == (1, False, 0)
    first = [read for read in reads if read.first]
    assert len(first) == 5
    assert min(read.cached / read.prompt for read in first) > 0.9
    openings = [request for request in server.requests if len(request["messages"]) == 2]
    assert len({opening(request) for request in openings}) == 1
    names = [tool["function"]["name"] for tool in openings[0]["tools"]]
    assert names == ["read_file", "reader", "run_code", "write_file"]


def test_a_list_and_instructions_of_its_own_would_part_each_from_the_others(
    client: Client, notes: Path, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin: laid out as if each agent stood alone, siblings share next to nothing."""

    def apart(route: AttenuatedRoute, session: Any) -> Layout:
        own = [tool for tool in session.standing.prefix.tools if tool.name in route.spec.tools]
        return Layout(SharedPrefix(f"{route.task}\n{route.spec.instructions}", own))

    monkeypatch.setattr(AttenuatedRoute, "layout", apart)
    read_all(client, lead(notes, reader()))
    first = [read for read in server.reads if read.first and read.sibling]
    assert max(read.cached / read.prompt for read in first) < 0.5


def test_a_server_inside_knows_a_tree_by_opaque_names(
    client: Client, notes: Path, server: ModelServer
) -> None:
    results = read_all(client, lead(notes, reader()))
    reads = [read for read in server.reads if read.sibling]
    assert len({read.session for read in reads}) == 5
    assert len({read.salt for read in server.reads}) == 1
    assert all(len(read.session) == len(read.salt) == 32 for read in server.reads)
    sent = json.dumps(server.requests) + "".join(read.session for read in server.reads)
    known_here = {name for result in results for name in (result.session, result.domain)}
    assert not [name for name in known_here if name in sent]


def test_a_mediated_sub_agent_shares_nothing_and_waits_its_turn(
    client: Client, notes: Path, server: ModelServer
) -> None:
    judge = Agent(model=MODEL, name="judge", grants=[])
    agent = lead(notes, mediated(judge, asks="bool", answers="bool"))

    async def main() -> None:
        async with agent.open(client=client) as team:
            await team.run("Nothing to do.")
            await team.spawn("judge", True)

    asyncio.run(main())
    own, other = server.reads[0], server.reads[-1]
    assert (own.sibling, other.sibling) == (False, True)
    assert own.salt != other.salt
    assert own.session != other.session


def write_by_reader(client: Client, notes: Path, tools: Sequence[str]) -> Result:
    order = 'CALL write_file {"path": "written.md", "text": "I was here"}'

    async def main() -> Result:
        async with lead(notes, reader(tools=tools, workspace="write")).open(client=client) as team:
            return await team.spawn("reader", order)

    return asyncio.run(main())


def test_a_tool_that_is_shown_but_not_its_own_does_nothing(
    client: Client, notes: Path, server: ModelServer
) -> None:
    result = write_by_reader(client, notes, ["read_file"])
    shown = [tool["function"]["name"] for tool in server.requests[0]["tools"]]
    assert "write_file" in shown
    assert "you may call only these: read_file." in server.requests[0]["messages"][-1]["content"]
    assert "write_file' is not one of this agent's tools" in result.text
    assert not (notes / "written.md").exists()


def test_with_the_tool_of_its_own_the_same_order_has_its_effect(
    client: Client, notes: Path, server: ModelServer
) -> None:
    """The twin."""
    write_by_reader(client, notes, ["read_file", "write_file"])
    assert (notes / "written.md").read_text() == "I was here"
