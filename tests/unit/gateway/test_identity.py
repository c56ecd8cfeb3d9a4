"""What a model server may know of who calls: opaque, unlinkable, and nobody's to choose."""

import dataclasses
import threading
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from trilemma.errors import LedgerError, SpecError
from trilemma.gateway.agentfile import read_agent
from trilemma.gateway.enforcement import Actor
from trilemma.gateway.identity import CHILD, ROOT, IdentityMint
from trilemma.inference.messages import CallIdentity, ToolCall

NAMES = st.text(max_size=12)
ACTORS = st.builds(Actor, NAMES, NAMES, NAMES, st.none())
MINT = IdentityMint(b"a secret of a test")


def names(identity: CallIdentity) -> set[str]:
    return {identity.session, identity.tree, identity.parent, identity.cache_salt} - {""}


@given(ACTORS, NAMES, NAMES)
def test_sessions_of_one_domain_share_a_salt_and_nothing_else(
    actor: Actor, other: str, root: str
) -> None:
    sibling = dataclasses.replace(actor, session=other)
    one = MINT.mint(actor, tree=root, parent=root)
    two = MINT.mint(sibling, tree=root, parent=root)
    assert one.cache_salt == two.cache_salt
    assert one.parent == two.parent
    assert (one.session == two.session) == (actor.session == other)


@given(ACTORS, ACTORS)
def test_nothing_is_the_same_in_two_domains_or_of_two_principals(a: Actor, b: Actor) -> None:
    if (a.principal, a.domain) != (b.principal, b.domain):
        assert not names(MINT.mint(a)) & names(MINT.mint(b))


@given(ACTORS)
def test_names_are_nothing_without_the_secret(actor: Actor) -> None:
    minted = names(MINT.mint(actor))
    assert not minted & names(IdentityMint(b"another secret").mint(actor))
    assert all(len(name) == 32 and int(name, 16) >= 0 for name in minted)


def test_without_a_key_anybody_could_link_what_belongs_together() -> None:
    """The twin: with a secret that is known, whoever guesses a domain has its salt."""
    victim = Actor("user:ann", "dom_1", "ses_1", None)
    known = IdentityMint(b"")
    guessed = {
        known.mint(Actor(f"user:{who}", "dom_1", "ses_9", None)).cache_salt
        for who in ("bob", "ann")
    }
    assert known.mint(victim).cache_salt in guessed
    assert MINT.mint(victim).cache_salt not in guessed


def test_a_root_goes_before_children_and_those_are_level() -> None:
    root = MINT.mint(Actor("p", "d", "root", None))
    child = MINT.mint(Actor("p", "d", "child", None), depth=1, tree="root", parent="root")
    below = Actor("p", "d", "grandchild", None)
    grandchild = MINT.mint(below, depth=2, tree="root", parent="child")
    assert (root.priority, child.priority, grandchild.priority) == (ROOT, CHILD, CHILD)
    assert root.priority > child.priority
    assert child.tree == grandchild.tree == root.tree
    assert grandchild.parent == child.session


def test_nobody_outside_the_gateway_can_say_who_calls() -> None:
    """A spec has no word for it, and neither has a call."""
    for word in [part.name for part in dataclasses.fields(CallIdentity)]:
        with pytest.raises(SpecError, match=word):
            read_agent({"model": "gullible", word: "x"}, origin="here", base=Path.cwd())
        assert word not in {part.name for part in dataclasses.fields(ToolCall)}


def test_the_secret_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    actor = Actor("p", "d", "s", None)
    minted: set[CallIdentity] = set()

    def open_and_mint() -> None:
        minted.add(IdentityMint.open(tmp_path).mint(actor))

    threads = [threading.Thread(target=open_and_mint) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(minted) == 1
    (kept,) = tmp_path.iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.read_bytes().hex() not in repr(IdentityMint.open(tmp_path))


@pytest.mark.parametrize("spoil", ["short", "open", "link"])
def test_a_secret_that_cannot_be_relied_on_is_refused(tmp_path: Path, spoil: str) -> None:
    IdentityMint.open(tmp_path)
    key = tmp_path / "identity.key"
    match spoil:
        case "short":
            key.write_bytes(b"abc")
        case "open":
            key.chmod(0o644)
        case "link":
            key.rename(tmp_path / "elsewhere")
            key.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LedgerError, match=r"identity\.key"):
        IdentityMint.open(tmp_path)
