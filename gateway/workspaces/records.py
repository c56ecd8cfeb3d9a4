"""The requests and events of opening a workspace."""

import secrets

from ...policy.capability import NONE, Capability, CapabilitySet
from ...policy.decision import Decision
from ...policy.request import AccessRequest, Act, WorkspaceFacts
from ...sandbox.folder import Folder
from ..ledger.events import Event, Kind, Use
from ..ledger.fold import Held
from .layers import Layer
from .opening import Opening, Origin
from .places import Place
from .snapshots import Snapshot


def open_request(
    opening: Opening, held: Held, label: CapabilitySet, *, known: bool
) -> AccessRequest:
    """What is decided when a session opens a folder."""
    return AccessRequest(
        act=Act.WORKSPACE,
        principal=opening.principal,
        needs=frozenset({Capability.FILES}),
        held=held.capabilities,
        grants=opening.grants,
        label=label,
        workspace=WorkspaceFacts(mode=str(opening.mode), known=known),
        cause=held.cause,
    )


def created(
    folder: Folder,
    origin: Origin,
    principal: str,
    *,
    declared: bool,
    replaces: str | None = None,
) -> Event:
    """A folder becomes a workspace with a new identity."""
    workspace = f"ws-{secrets.token_hex(8)}"
    body = {
        **Place.of(folder).as_body(),
        "origin": str(origin),
        "declared": declared,
        "replaces": replaces,
    }
    return Event(
        kind=Kind.WORKSPACE_CREATED,
        principal=principal,
        workspace=workspace,
        what=f"workspace {_name(folder)}",
        joins={workspace: origin.label},
        body=body,
    )


def joined(folder: Folder, workspace: str, origin: Origin, principal: str) -> Event:
    """A known workspace gets the label that its owner declares now as well."""
    return Event(
        kind=Kind.WORKSPACE_CREATED,
        principal=principal,
        workspace=workspace,
        what=f"workspace {_name(folder)}",
        joins={workspace: origin.label},
        body={**Place.of(folder).as_body(), "origin": str(origin), "declared": True},
    )


def layer_created(layer: Layer, opening: Opening) -> Event:
    """A layer exists. Its label comes when it is opened, before anything can write to it."""
    return Event(
        kind=Kind.LAYER_CREATED,
        **opening.by,
        workspace=layer.workspace,
        what=layer.id,
        joins={layer.id: NONE},
        body={"layer": layer.id},
    )


def opened(
    folder: Folder,
    workspace: str,
    layer: Layer | None,
    opening: Opening,
    takes: CapabilitySet,
    policy: str,
) -> Event:
    """A session has the workspace open, and its layer for writing."""
    written = workspace if layer is None else layer.id
    opens = {workspace: Use.READ, written: Use.WRITE}
    return Event(
        kind=Kind.WORKSPACE_OPENED,
        **opening.by,
        workspace=workspace,
        what=f"workspace {_name(folder)}",
        takes=takes,
        # With grants their label is joined at once; without, the ledger joins what the domain
        # holds now and whatever it takes while this is open.
        joins={written: opening.grants or NONE},
        opens=opens,
        body={
            **Place.of(folder).as_body(),
            "mode": str(opening.mode),
            "layer": layer.id if layer else None,
            "policy": policy,
        },
    )


def snapshot(
    folder: Folder,
    workspace: str,
    layer: Layer | None,
    taken: Snapshot,
    opening: Opening,
    label: CapabilitySet,
) -> Event:
    """A copy exists, with the labels that its original had before and after it was made."""
    copied = taken.copied
    return Event(
        kind=Kind.WORKSPACE_SNAPSHOT,
        **opening.by,
        workspace=workspace,
        what=f"snapshot of {_name(folder)}",
        joins={taken.id: label},
        body={
            "of": [workspace] if layer is None else [workspace, layer.id],
            "snapshot": taken.id,
            "files": copied.files,
            "copied": copied.copied,
            "shared": copied.shared,
        },
    )


def snapshot_opened(
    folder: Folder,
    workspace: str,
    taken: Snapshot,
    opening: Opening,
    takes: CapabilitySet,
    policy: str,
) -> Event:
    """A session has a copy open. The folder that it is of is not open by that."""
    return Event(
        kind=Kind.WORKSPACE_OPENED,
        **opening.by,
        workspace=workspace,
        what=f"workspace {_name(folder)}",
        takes=takes,
        opens={taken.id: Use.READ},
        body={
            **Place.of(folder).as_body(),
            "mode": str(opening.mode),
            "snapshot": taken.id,
            "policy": policy,
        },
    )


def denied(opening: Opening, workspace: str, decision: Decision) -> Event:
    """A session does not get the folder."""
    return Event(
        kind=Kind.WORKSPACE_DENIED,
        **opening.by,
        workspace=workspace,
        what="workspace",
        body={"reasons": list(decision.reasons), "policy": decision.digest},
    )


def _name(folder: Folder) -> str:
    return folder.path.name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
