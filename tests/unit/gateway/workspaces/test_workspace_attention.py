import pytest

from trilemma.gateway.workspaces.attention import runs_by_itself
from trilemma.gateway.workspaces.changes import Entry, Kind

FILE = Entry(Kind.FILE, 0o644)


@pytest.mark.parametrize(
    "path",
    [
        *(".git/hooks/pre-commit", ".git/config", "sub/.git/config", ".GIT/config", ".husky/x"),
        *("Makefile", "lib/GNUmakefile", "makefile", "rules.mk", "CMakeLists.txt", "build.rs"),
        *(".github/workflows/ci.yml", ".gitlab-ci.yml", "Jenkinsfile", ".circleci/config.yml"),
        *(".vscode/tasks.json", ".idea/workspace.xml", ".devcontainer/devcontainer.json", ".vimrc"),
        *(".envrc", ".env", "home/.bashrc", ".profile", ".zshenv", ".bash_profile"),
        *("a.pth", "conftest.py", "tests/conftest.py", "setup.py", "setup.cfg", "pyproject.toml"),
        *("sitecustomize.py", "tox.ini", "noxfile.py", "x/__pycache__/a.cpython-311.pyc"),
        *("package.json", ".npmrc", "vite.config.ts", ".eslintrc.js", ".pre-commit-config.yaml"),
        *("Dockerfile", "Dockerfile.dev", "docker-compose.yml", "compose.yaml", "Vagrantfile"),
        *("x.desktop", "x.service", "autorun.inf", "x.lnk", "a.ps1", ".ssh/authorized_keys"),
        *("CLAUDE.md", "AGENTS.md", ".mcp.json", ".cursor/rules/a.md", ".claude/settings.json"),
        *("sheet.xlsm", "n.ipynb", "lib.so", "lib.so.1", ".gitattributes", ".gitmodules"),
    ],
)
def test_file_that_runs_by_itself_is_named(path: str) -> None:
    assert runs_by_itself(path, FILE, None)


@pytest.mark.parametrize(
    "path",
    [
        "notes.md",
        "src/main.py",
        "report.txt",
        "hooks.md",
        "data.json",
        "makefiles.txt",
        "git/a",
        "config",
        "environment",
        "setup.md",
        "a/build.txt",
    ],
)
def test_ordinary_file_is_not(path: str) -> None:
    assert not runs_by_itself(path, FILE, None)


def test_executable_is_named() -> None:
    assert runs_by_itself("x", Entry(Kind.FILE, 0o755), None)
    assert not runs_by_itself("x", Entry(Kind.DIRECTORY, 0o755), None)


def test_link_in_place_of_a_file_is_named() -> None:
    assert runs_by_itself("x", Entry(Kind.LINK, target="y"), FILE)
