"""Every example, run as its page says, on the model that needs no key."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from trilemma.demo.effects import differing
from trilemma.demo.pins import hashes
from trilemma.demo.servers import Server, start

pytestmark = pytest.mark.docker

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def examples(tmp_path: Path, base_image: str, code_image: str) -> Path:
    """A copy of the examples, with programs pinned as they are in this machine's image."""
    ignored = shutil.ignore_patterns("home", "source", "project", "__pycache__")
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=ignored)
    agent = tmp_path / "examples" / "inbox" / "agent.yaml"
    text = agent.read_text()
    pairs = re.findall(r"executable: (\S+)\n\s+sha256: (\S+)", text)
    now = hashes(code_image, {path for path, _ in pairs})
    for path, pin in pairs:
        text = text.replace(pin, now[path])
    agent.write_text(text)
    return tmp_path / "examples"


@pytest.fixture
def servers() -> Iterator[tuple[Server, Server]]:
    """A listed server and another one."""
    listed, other = start()
    yield listed, other
    listed.close()
    other.close()


def run(script: Path, *arguments: str, policy: str = "") -> str:
    home = script.parents[2] / "state"
    (home / "config").mkdir(parents=True, exist_ok=True)
    if policy:
        (home / "config" / "policy.yaml").write_text(policy)
    kept = {name: value for name, value in os.environ.items() if "TRILEMMA" not in name}
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
        env={**kept, "TRILEMMA_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def reachable(*servers: Server) -> str:
    names = ", ".join(f"{server.name}: 127.0.0.1" for server in servers)
    ports = ", ".join(f'"127.0.0.1:{server.port}"' for server in servers)
    return f"version: 1\negress:\n  hosts: {{{names}}}\n  private: [{ports}]\n"


def test_hello_adds_up_a_column(examples: Path) -> None:
    assert "416.0" in run(examples / "hello" / "hello_agent.py")


def test_denied_explains_the_refusal_and_has_no_network(examples: Path) -> None:
    text = run(examples / "denied" / "denied_by_policy.py")
    assert "http_fetch was denied: outside_grants" in text
    assert "Way on:" in text
    assert "Could not resolve host" in text


def test_repo_counts_what_is_really_there(examples: Path) -> None:
    found = find_spec("h11")
    assert found is not None
    assert found.submodule_search_locations is not None
    files = Path(found.submodule_search_locations[0]).rglob("*.py")
    nodes = [node for path in files for node in ast.walk(ast.parse(path.read_text()))]
    classes = sum(isinstance(node, ast.ClassDef) for node in nodes)
    functions = sum(isinstance(node, ast.FunctionDef) for node in nodes)
    text = run(examples / "repo" / "ask.py")
    assert f"{classes} classes\n{functions} functions" in text


def test_reader_fetches_and_computes(examples: Path, servers: tuple[Server, Server]) -> None:
    listed, _ = servers
    text = run(
        examples / "reader" / "read.py", f"http://{listed.authority}/", policy=reachable(listed)
    )
    assert len(listed.arrivals) == 2
    assert re.search(r"^ *\d+ +\d+$", text, flags=re.MULTILINE)


def test_fast_context_finds_every_name_side_by_side_and_alone(examples: Path) -> None:
    script = examples / "fast-context" / "ask.py"
    names = ("BaseModel", "TypeAdapter", "SecretStr")
    together, alone = (run(script, *way, "pydantic", *names) for way in ((), ("--alone",)))
    found = re.findall(r"^(\S+\.py:\d+: \w+)$", together, flags=re.MULTILINE)
    assert {line.split()[-1] for line in found} == set(names)
    assert found == re.findall(r"^(\S+\.py:\d+: \w+)$", alone, flags=re.MULTILINE)
    assert "4 agents asked the model 14 times" in together
    assert "1 agents asked the model 11 times" in alone


def test_inbox_writes_its_report_and_refuses_code(examples: Path) -> None:
    text = run(examples / "inbox" / "triage.py")
    assert "read_mail x16" in text
    assert text.count("denied: run_code: outside_grants") == 2
    layer = text.split()[-1]
    report = examples.parent / "state" / "state" / "layers" / layer / "upper/reports/triage.md"
    assert "Minutes of Tuesday" in report.read_text()
    assert not (examples / "inbox" / "home" / "office" / "reports").exists()


@pytest.fixture
def register(examples: Path) -> Iterator[tuple[str, str, Path]]:
    """The register of the research desk: its address, the policy it asks for, and its log."""
    log = examples / "register.log"
    script = examples / "research-desk" / "registry.py"
    with log.open("w") as file:
        process = subprocess.Popen([sys.executable, str(script), "0"], stdout=file)
    while "# what is asked" not in (text := log.read_text()):
        assert process.poll() is None
    address, _, *policy = text.splitlines()
    yield address, "\n".join(policy), log
    process.terminate()
    process.wait()


def test_the_desk_learns_numbers_and_tells_nothing(
    examples: Path, register: tuple[str, str, Path]
) -> None:
    address, policy, log = register
    text = run(examples / "research-desk" / "desk.py", address, policy=policy)
    for row in ("borealis,300,88", "halden,4100,760", "kestrel,75,", "northwind,1200,4120"):
        assert f"{row}\n" in text
    asked = [line for line in log.read_text().splitlines() if "GET" in line]
    assert [line.split()[2] for line in asked] == [
        *("/borealis.txt", "/halden.txt", "/kestrel.txt", "/northwind.txt")
    ]
    assert "CANARY" not in log.read_text()
    assert "denied: http_fetch: outside_grants" in text
    assert not (examples / "research-desk" / "desk" / "employees.csv").exists()


def test_a_desk_that_asks_in_free_text_is_refused(
    examples: Path, register: tuple[str, str, Path]
) -> None:
    address, policy, log = register
    script = examples / "research-desk" / "desk.py"
    typed = 'asks={"enum": [question(register, company) for company in companies]}'
    assert typed in script.read_text()
    script.write_text(script.read_text().replace(typed, 'asks="free"'))
    assert "denied: researcher: delegation_third" in run(script, address, policy=policy)
    assert "GET" not in log.read_text()


@pytest.fixture
def index(examples: Path) -> Iterator[tuple[str, Path]]:
    """The index of the release team: the policy that it asks for, and its log."""
    folder, log = examples / "release-team", examples / "index.log"
    with log.open("w") as file:
        process = subprocess.Popen([sys.executable, folder / "index.py", "0"], stdout=file)
    while "# what is asked" not in (text := log.read_text()):
        assert process.poll() is None
    policy = text.partition("# what is asked")[0]
    port = policy.rpartition(":")[2].strip("']\n")
    for name in ("team.yaml", "task.txt"):
        path = folder / name
        path.write_text(path.read_text().replace("8040", port))
    yield policy, log
    process.terminate()
    process.wait()


def test_the_release_team_runs_from_its_file(examples: Path, index: tuple[str, Path]) -> None:
    policy, log = index
    folder = examples / "release-team"
    run(folder / "project.py", policy=policy)
    home = examples.parent / "state"
    with (folder / "task.txt").open() as task:
        done = subprocess.run(
            [sys.executable, "-m", "trilemma", "run", str(folder / "team.yaml"), "-"],
            stdin=task,
            env={**os.environ, "TRILEMMA_HOME": str(home)},
            capture_output=True,
            text=True,
            check=True,
        )
    for line in (
        *('Published: "0.9.0"', "answers ['Request', 'EndOfMessage']"),
        "class LocalProtocolError(ProtocolError):",
    ):
        assert line in done.stdout
    assert re.search(r"^  reviewer +. search_files", done.stderr, flags=re.MULTILINE)
    assert "index  ✗ run_code" in done.stderr
    assert "That is no answer" in done.stderr
    asked = [line for line in log.read_text().splitlines() if "GET" in line]
    assert [line.split()[2] for line in asked] == ["/h11.txt"]
    assert not (folder / "project" / "RELEASE.md").exists()


def test_the_mailbox_is_the_same_each_time(tmp_path: Path) -> None:
    script = ROOT / "examples" / "inbox" / "make_inbox.py"
    for name in ("one", "other"):
        words = [sys.executable, str(script), str(tmp_path / name)]
        subprocess.run(words, check=True, capture_output=True)
    assert differing(tmp_path / "one", tmp_path / "other") == frozenset()
    assert (tmp_path / "one" / "office" / "keys").is_symlink()


def test_the_readme_example_runs(examples: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    assert found is not None
    script = examples / "hello" / "readme.py"
    notes = str(examples / "hello" / "notes")
    script.write_text(found[1].replace("examples/hello/notes", notes))
    assert "416.0" in run(script)
