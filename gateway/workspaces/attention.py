"""Which files run, or steer what runs, without anybody meaning to run them."""

import re
from pathlib import PurePosixPath

from .changes import Entry, Kind

# Matched against the whole path in lower case: some file systems do not know upper case.
_PATTERNS: tuple[tuple[str, str], ...] = (
    (r"(.*/)?\.git(/.*)?", "git runs hooks and commands named in its configuration"),
    (
        r"(.*/)?(\.githooks|\.husky|git-?hooks|[^/]+\.git/hooks)/.*",
        "git hooks run at commit, checkout or push",
    ),
    (r"(.*/)?\.git(attributes|modules|config)", "git runs filters and fetches that it names"),
    (r"(.*/)?(\.pre-commit-(config|hooks)\.ya?ml|lefthook\.ya?ml)", "commit hooks run it"),
    (r"(.*/)?(gnu)?makefile(\..*)?|.*\.(mk|mak)", "make runs its commands"),
    (
        r"(.*/)?(cmakelists\.txt|meson\.build|build\.rs|sconstruct|sconscript|wscript)",
        "builds run it",
    ),
    (
        r".*\.(cmake|gradle|gradle\.kts|bazel|bzl|nix)|(.*/)?(pom\.xml|build|workspace)",
        "builds run it",
    ),
    (
        r"(.*/)?(\.?justfile|rakefile|gruntfile\..*|gulpfile\..*|taskfile\.ya?ml)",
        "task runners run it",
    ),
    (
        r"(.*/)?(vagrantfile|dockerfile(\..*)?|.*\.dockerfile|containerfile(\..*)?)",
        "images are built by it",
    ),
    (r"(.*/)?(docker-)?compose(\..*)?\.ya?ml", "containers are started by it"),
    (r"(.*/)?\.(github|circleci|gitlab|buildkite|forgejo|gitea|woodpecker)/.*", "CI runs it"),
    (
        r"(.*/)?(\.gitlab-ci|\.travis|\.drone|\.woodpecker|azure-pipelines|bitbucket-pipelines|appveyor)"
        r"\.ya?ml|(.*/)?jenkinsfile|(.*/)?\.ci/.*",
        "CI runs it",
    ),
    (
        r"(.*/)?\.(vscode|idea|devcontainer|fleet|zed)/.*|.*\.code-workspace|.*\.sublime-project",
        "editors run tasks that it names",
    ),
    (r"(.*/)?(\.(n?vimrc|exrc|vim/.*|emacs|dir-locals(-2)?\.el)|\.nvim\.lua)", "editors run it"),
    (r"(.*/)?\.(envrc|env(\..*)?|direnv/.*|tool-versions|mise\.toml)", "shells and tools load it"),
    (
        r"(.*/)?\.(bash|z|k|c|tc)?(rc|shrc|profile|login|logout|shenv|_profile|_login|_logout|_aliases)",
        "shells run it",
    ),
    (r".*\.pth|(.*/)?(site|user)customize\.py", "every Python start runs it"),
    (r"(.*/)?(conftest|setup|noxfile|fabfile|tasks|dodo|manage)\.py", "Python tools run it"),
    (
        r"(.*/)?(pyproject\.toml|setup\.cfg|tox\.ini|pytest\.ini|\.coveragerc|pip\.conf|\.pypirc)",
        "Python tools take plug-ins and commands from it",
    ),
    (r".*\.py[cod]|(.*/)?__pycache__(/.*)?", "Python runs it in place of the source"),
    (
        r"(.*/)?(package\.json|\.npmrc|\.yarnrc(\.yml)?|\.pnpmfile\.cjs|binding\.gyp)",
        "npm runs its scripts",
    ),
    (r"(.*/)?([\w.-]+\.config|\.[\w-]+rc)\.(js|cjs|mjs|ts|cts|mts)", "JavaScript tools run it"),
    (
        r"(.*/)?(cargo\.toml|\.cargo/.*|go\.work|gemfile|.*\.gemspec|composer\.json)",
        "package tools obey it",
    ),
    (
        r".*\.(desktop|service|timer|socket|plist|lnk|scf|command|bat|cmd|ps1|vbs|app|scpt|reg)",
        "desktops and service managers start it",
    ),
    (r"(.*/)?(crontab|cron\.\w+/.*|autorun\.inf|autostart/.*)", "it is started by time or login"),
    (r"(.*/)?\.ssh(/.*)?|(.*/)?authorized_keys", "it opens logins"),
    (
        r"(.*/)?(\.claude|\.cursor|\.codex|\.gemini|\.windsurf)(/.*)?|(.*/)?\.?mcp\.json|"
        r"(.*/)?(claude|agents|gemini)(\.local)?\.md|(.*/)?\.cursorrules",
        "coding agents obey it",
    ),
    (r".*\.(docm|xlsm|pptm|dotm|xlam|ipynb|jar|whl|so(\..*)?|dll|dylib|exe)", "it carries code"),
)
_RULES = tuple((re.compile(pattern, re.DOTALL), why) for pattern, why in _PATTERNS)


def runs_by_itself(path: str, new: Entry | None, old: Entry | None) -> str:
    """Why the change deserves the first look, or an empty string."""
    lowered = str(PurePosixPath(path)).lower()
    for pattern, why in _RULES:
        if pattern.fullmatch(lowered):
            return why
    if new is not None and new.kind is Kind.FILE and new.mode & 0o111:
        return "it is executable"
    if old is not None and new is not None and new.kind is Kind.LINK and old.kind is not Kind.LINK:
        return "a link takes the place of what was there"
    return ""
