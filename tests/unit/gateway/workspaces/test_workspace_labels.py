from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trilemma.errors import Denied, LedgerError, WorkspaceError
from trilemma.gateway.ledger.events import Event, Kind
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.workspaces.labelling import Labelling
from trilemma.gateway.workspaces.opening import Mode, Opening, Origin
from trilemma.gateway.workspaces.registry import Decide, Workspaces
from trilemma.policy.capability import NONE, CapabilitySet, parse
from trilemma.policy.decision import Decision, Verdict
from trilemma.policy.request import AccessRequest

Open = Callable[..., Opening]
FILES, CODE, INTERNET = (parse([name]) for name in ("files", "code", "internet"))


def held(ledger: Ledger, opening: Opening) -> CapabilitySet:
    return ledger.held(opening.domain).capabilities


def take(ledger: Ledger, opening: Opening, capabilities: CapabilitySet) -> None:
    ledger.append(
        Event(
            kind=Kind.CALL_RESERVED,
            domain=opening.domain,
            session=opening.session,
            call=f"call-{opening.session}-{len(capabilities)}",
            takes=capabilities,
        )
    )


def test_own_folder_begins_without_a_label(
    workspaces: Workspaces, ledger: Ledger, folder: Path, opening: Open, decide: Decide
) -> None:
    asked = opening(folder)
    opened = workspaces.open(asked, decide)
    assert opened.undeclared
    assert ledger.label(opened.workspace) == NONE
    assert held(ledger, asked) == FILES


def test_declared_folder_is_not_called_undeclared(
    workspaces: Workspaces, folder: Path, opening: Open, decide: Decide
) -> None:
    assert not workspaces.open(opening(folder, origin=Origin.OWN), decide).undeclared


def test_strangers_folder_brings_internet(
    workspaces: Workspaces, ledger: Ledger, folder: Path, opening: Open, decide: Decide
) -> None:
    asked = opening(folder, "files internet", origin=Origin.STRANGERS)
    opened = workspaces.open(asked, decide)
    assert ledger.label(opened.workspace) == INTERNET
    assert held(ledger, asked) == FILES | INTERNET


def test_strangers_folder_is_refused_to_files_and_code(
    workspaces: Workspaces, ledger: Ledger, folder: Path, opening: Open, decide: Decide
) -> None:
    asked = opening(folder, "files code", origin=Origin.STRANGERS)
    with pytest.raises(Denied) as refused:
        workspaces.open(asked, decide)
    assert "outside_grants" in refused.value.reasons
    assert held(ledger, asked) == NONE
    assert list(workspaces.layers) == []


def test_later_declaration_joins_and_never_takes_away(
    workspaces: Workspaces, ledger: Ledger, folder: Path, opening: Open, decide: Decide
) -> None:
    first = workspaces.open(opening(folder, origin=Origin.OWN), decide)
    first.close()
    grants = "files internet"
    workspaces.open(opening(folder, grants, origin=Origin.STRANGERS), decide).close()
    assert ledger.label(first.workspace) == INTERNET
    workspaces.open(opening(folder, grants, origin=Origin.OWN), decide).close()
    assert ledger.label(first.workspace) == INTERNET


def test_layer_carries_the_grants_and_the_folder_does_not(
    workspaces: Workspaces, ledger: Ledger, folder: Path, opening: Open, decide: Decide
) -> None:
    opened = workspaces.open(opening(folder, "files code"), decide)
    assert opened.layer is not None
    assert ledger.label(opened.layer.id) == FILES | CODE
    assert ledger.label(opened.workspace) == NONE


def test_direct_folder_carries_the_grants(
    workspaces: Workspaces, ledger: Ledger, folder: Path, opening: Open, decide: Decide
) -> None:
    opened = workspaces.open(opening(folder, mode=Mode.DIRECT), decide)
    assert opened.layer is None
    opened.close()
    assert ledger.label(opened.workspace) == FILES | CODE
    with pytest.raises(Denied, match=r"outside_grants"):
        workspaces.open(opening(folder, "files internet"), decide)


def test_without_grants_the_layer_follows_what_the_domain_takes(
    workspaces: Workspaces, ledger: Ledger, folder: Path, opening: Open, decide: Decide
) -> None:
    asked = opening(folder, None)
    opened = workspaces.open(asked, decide)
    assert opened.layer is not None
    assert ledger.label(opened.layer.id) == FILES
    take(ledger, asked, INTERNET)
    assert ledger.label(opened.layer.id) == FILES | INTERNET


def test_continued_layer_brings_its_label(
    workspaces: Workspaces, ledger: Ledger, folder: Path, opening: Open, decide: Decide
) -> None:
    opened = workspaces.open(opening(folder, "files code"), decide)
    assert opened.layer is not None
    opened.close()
    with pytest.raises(Denied):
        workspaces.open(opening(folder, "files internet", layer=opened.layer.id), decide)
    assert opened.layer.place.exists()
    asked = opening(folder, None, layer=opened.layer.id)
    again = workspaces.open(asked, decide)
    assert again.layer == opened.layer
    assert held(ledger, asked) == FILES | CODE


def test_fresh_layer_does_not_bring_what_an_earlier_session_did(
    workspaces: Workspaces, ledger: Ledger, folder: Path, opening: Open, decide: Decide
) -> None:
    workspaces.open(opening(folder, "files code"), decide).close()
    asked = opening(folder, "files internet")
    workspaces.open(asked, decide)
    assert held(ledger, asked) == FILES


def test_layer_of_another_folder_is_refused(
    workspaces: Workspaces, folder: Path, tmp_path: Path, opening: Open, decide: Decide
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    opened = workspaces.open(opening(other), decide)
    assert opened.layer is not None
    opened.close()
    with pytest.raises(WorkspaceError, match=r"belongs to the workspace"):
        workspaces.open(opening(folder, layer=opened.layer.id), decide)


@pytest.mark.parametrize("name", ["layer-000000000000", "../../etc", "layer-../x", ""])
def test_layer_that_is_none_is_refused(
    name: str, workspaces: Workspaces, folder: Path, opening: Open, decide: Decide
) -> None:
    with pytest.raises(WorkspaceError, match=r"layer"):
        workspaces.open(opening(folder, layer=name), decide)


def test_one_domain_writes_and_no_other_reads(
    workspaces: Workspaces, folder: Path, opening: Open, decide: Decide
) -> None:
    writer = workspaces.open(opening(folder, mode=Mode.DIRECT), decide)
    for mode in (Mode.LAYER, Mode.DIRECT):
        with pytest.raises(WorkspaceError, match=r"in use"):
            workspaces.open(opening(folder, mode=mode), decide)
    writer.close()
    workspaces.open(opening(folder), decide)


def test_two_domains_have_layers_of_one_folder(
    workspaces: Workspaces, folder: Path, opening: Open, decide: Decide
) -> None:
    one = workspaces.open(opening(folder), decide)
    two = workspaces.open(opening(folder), decide)
    assert one.workspace == two.workspace
    assert one.layer != two.layer


def test_refused_opening_leaves_no_layer_even_when_recording_fails(
    workspaces: Workspaces, folder: Path, opening: Open, decide: Decide
) -> None:
    asked = opening(folder)

    def broken(request: AccessRequest) -> Decision:
        raise RuntimeError("no policy")

    with pytest.raises(RuntimeError, match=r"no policy"):
        workspaces.open(asked, broken)
    assert list(workspaces.layers) == []


def test_sabotage_a_policy_that_allows_everything_still_takes_the_label(
    workspaces: Workspaces, ledger: Ledger, folder: Path, opening: Open
) -> None:
    """The decision switched off: the ledger's own rule is what is left, and it holds."""

    def allow(request: AccessRequest) -> Decision:
        return Decision(Verdict.ALLOW, (), "sha256:none", taking=request.taking)

    workspaces.open(opening(folder, "files code", mode=Mode.DIRECT), allow).close()
    with pytest.raises(LedgerError, match=r"third_capability"):
        workspaces.open(opening(folder, "files internet", origin=Origin.STRANGERS), allow)


def test_folder_that_is_opened_while_it_is_declared_keeps_its_identity(
    workspaces: Workspaces,
    labelling: Labelling,
    ledger: Ledger,
    folder: Path,
    opening: Open,
    decide: Decide,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = workspaces.open(opening(folder, "files code", mode=Mode.DIRECT), decide)
    first.close()
    transact = ledger.transact

    def open_just_before(build: Any) -> Any:
        monkeypatch.undo()
        workspaces.open(opening(folder, "files code", mode=Mode.DIRECT), decide)
        return transact(build)

    monkeypatch.setattr(ledger, "transact", open_just_before)
    with pytest.raises(WorkspaceError, match=r"in use"):
        labelling.declare(folder, Origin.OWN, "somebody")
    with pytest.raises(Denied):
        workspaces.open(opening(folder, "files internet", mode=Mode.DIRECT), decide)
