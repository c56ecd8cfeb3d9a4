"""What the host adds by itself, on evidence: AppArmor and user namespaces cannot run everywhere."""

import pytest

from trilemma.sandbox.confined import host_security, of_confinement
from trilemma.sandbox.proc import inside

ENFORCED = "docker-default (enforce)"
HOST = frozenset({"apparmor", "seccomp"})


class Said:
    """An engine, as far as what it says of its host."""

    def __init__(self, *options: str) -> None:
        self.options = options

    def info(self) -> dict[str, object]:
        return {"SecurityOptions": list(self.options)}


def test_what_an_engine_says_of_its_host() -> None:
    said = Said("name=apparmor", "name=seccomp,profile=default", "name=userns")
    assert host_security(said) == {"apparmor", "seccomp", "userns"}
    assert host_security(Said()) == frozenset()


def test_a_confined_container_passes() -> None:
    labels = {1: ENFORCED, 2: ENFORCED}
    assert list(of_confinement(HOST, {"AppArmorProfile": "docker-default"}, labels)) == []


@pytest.mark.parametrize(
    ("profile", "labels"),
    [
        ("", {1: ENFORCED}),
        ("unconfined", {1: "unconfined"}),
        ("docker-default", {1: ENFORCED, 2: "unconfined"}),
        ("docker-default", {1: "docker-default (complain)"}),
        ("docker-default", {1: ""}),
        ("lax", {1: "lax (enforce)"}),
    ],
)
def test_one_that_the_host_could_confine_and_does_not_is_found(
    profile: str, labels: dict[int, str]
) -> None:
    assert list(of_confinement(HOST, {"AppArmorProfile": profile}, labels))


def test_a_host_without_it_is_no_finding() -> None:
    assert list(of_confinement(frozenset({"seccomp"}), {"AppArmorProfile": ""}, {1: ""})) == []


@pytest.mark.parametrize(
    ("ids", "mapping", "expected"),
    [
        ({64101}, "         0          0 4294967295\n", {64101}),
        ({164101}, "0 100000 65536\n", {64101}),
        ({1000, 100999}, "0 1000 1\n1 100000 65536\n", {0, 1000}),
        ({99}, "0 100000 65536\n", {-1}),
        # A namespace of a process's own, in which it calls itself root.
        ({64101}, "0 64101 1\n", {0}),
        ({5}, "", {-1}),
    ],
)
def test_users_are_called_what_they_are_inside(
    ids: set[int], mapping: str, expected: set[int]
) -> None:
    assert inside(frozenset(ids), mapping) == expected
