"""A workspace that an idle session gives back, and takes again."""

from pathlib import Path
from typing import Any, cast

import pytest
from tests.unit.gateway.workspaces.conftest import Open

from trilemma.errors import SandboxError, WorkspaceError
from trilemma.gateway.holdings import RootHoldings
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.workspaces import registry
from trilemma.gateway.workspaces.opened import OpenWorkspace
from trilemma.gateway.workspaces.opening import Mode
from trilemma.gateway.workspaces.registry import Decide, Workspaces
from trilemma.sandbox.views import ViewMaker


def moved_to_the_policy(
    ledger: Ledger, folder: Path, root: Path, opening: Open, decide: Decide
) -> tuple[Workspaces, OpenWorkspace]:
    """What is given back; meanwhile the folder is moved to where the policy lies, and its link."""
    policy, link = root / "config/policy.yaml", root / "link"
    link.symlink_to(folder)
    views = ViewMaker(root / "run")
    workspaces = Workspaces(ledger, root / "state/layers", views, rules=[policy])
    idle = workspaces.open(opening(link, mode=Mode.DIRECT), decide)
    assert isinstance(idle, OpenWorkspace)
    idle.close()
    folder.rename(policy.parent)
    link.unlink()
    link.symlink_to(policy.parent)
    return workspaces, idle


def test_what_was_given_back_is_taken_again_by_the_same_rules(
    ledger: Ledger, folder: Path, tmp_path: Path, opening: Open, decide: Decide
) -> None:
    workspaces, idle = moved_to_the_policy(ledger, folder, tmp_path, opening, decide)
    with pytest.raises(WorkspaceError, match=r"says what the agent may do"):
        workspaces.reopen(idle, decide)


def test_twin_unless_it_is_looked_at_again_the_agent_may_write_the_policy(
    ledger: Ledger,
    folder: Path,
    tmp_path: Path,
    opening: Open,
    decide: Decide,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workspaces, idle = moved_to_the_policy(ledger, folder, tmp_path, opening, decide)
    monkeypatch.setattr(registry, "refuse_rules", lambda path, rules: None)
    workspaces.reopen(idle, decide)
    assert idle.folder == tmp_path / "config"
    idle.close()


class Stuck:
    """A domain that cannot give back what its sessions share."""

    def rested(self, domain: str, *, give_back: bool) -> None:
        raise SandboxError("the engine does not answer")


def test_the_folder_is_given_back_whatever_else_could_not_be(
    workspaces: Workspaces, folder: Path, opening: Open, decide: Decide, ledger: Ledger
) -> None:
    idle = workspaces.open(opening(folder), decide)
    assert isinstance(idle, OpenWorkspace)
    held = RootHoldings("dom", idle, cast("Any", Stuck()), workspaces, cast("Any", None))
    with pytest.raises(SandboxError):
        held.give_back()
    state = ledger.workspace(idle.workspace)
    assert state is not None
    assert not state.opened
