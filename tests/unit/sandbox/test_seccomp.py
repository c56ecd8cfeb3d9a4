from pathlib import Path
from typing import Any

import pytest

from trilemma.sandbox.seccomp import profile, profile_json
from trilemma.sandbox.spec import Exec

NEVER_ALLOWED = """
    mount umount2 move_mount open_tree fsopen fsmount pivot_root chroot mount_setattr unshare setns
    ptrace process_vm_readv process_vm_writev process_madvise pidfd_getfd kcmp
    io_uring_setup io_uring_enter io_uring_register userfaultfd bpf perf_event_open
    keyctl add_key request_key mknod mknodat open_by_handle_at name_to_handle_at
    setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr setxattrat
    setuid setgid setreuid setresuid setresgid setgroups setfsuid capset
    msgget semget mq_open personality iopl ioperm modify_ldt
    init_module finit_module kexec_load reboot swapon syslog quotactl fanotify_init
    memfd_secret pkey_mprotect
"""


def allowed(exec_mode: Exec) -> dict[str, list[dict[str, Any]]]:
    """Every name that some rule allows, with its rules."""
    rules: dict[str, list[dict[str, Any]]] = {}
    for rule in profile(exec_mode)["syscalls"]:
        if rule["action"] == "SCMP_ACT_ALLOW":
            for name in rule["names"]:
                rules.setdefault(name, []).append(rule)
    return rules


@pytest.mark.parametrize("exec_mode", Exec)
def test_what_is_dangerous_is_not_allowed(exec_mode: Exec) -> None:
    assert set(NEVER_ALLOWED.split()).isdisjoint(allowed(exec_mode))
    assert profile(exec_mode)["defaultAction"] == "SCMP_ACT_ERRNO"


@pytest.mark.parametrize("exec_mode", Exec)
def test_calls_with_conditions_have_no_rule_without(exec_mode: Exec) -> None:
    for name in ("socket", "clone", "ioctl", "prctl"):
        assert all(rule.get("args") for rule in allowed(exec_mode)[name])


def test_each_kind_has_what_it_needs_and_no_more() -> None:
    never, once, free = (set(allowed(mode)) for mode in (Exec.NEVER, Exec.ONCE, Exec.FREE))
    assert never < once < free
    assert {"memfd_create", "bind", "listen", "accept", "accept4", "execveat"} <= free - once
    assert "vfork" in once - never


def test_every_kind_is_smaller_than_dockers_default() -> None:
    """The list beside this file is what Docker allows on x86-64 without added capabilities."""
    lines = (Path(__file__).parent / "docker_default.txt").read_text().splitlines()
    default = set(" ".join(line for line in lines if not line.startswith("#")).split())
    assert len(default) == 308
    for mode, count in ((Exec.NEVER, 187), (Exec.ONCE, 213), (Exec.FREE, 228)):
        ours = set(allowed(mode))
        assert ours < default
        assert len(ours) == count


@pytest.mark.parametrize(
    ("exec_mode", "families"), [(Exec.NEVER, {1}), (Exec.ONCE, {1}), (Exec.FREE, {1, 2, 10})]
)
def test_socket_families(exec_mode: Exec, families: set[int]) -> None:
    rules = allowed(exec_mode)["socket"]
    assert {rule["args"][0]["value"] for rule in rules} == families
    assert {rule["args"][1]["valueTwo"] for rule in rules} == {1, 2}


def test_one_architecture_each_and_no_narrow_ones() -> None:
    assert all(not entry["subArchitectures"] for entry in profile(Exec.NEVER)["archMap"])


def test_the_text_is_stable() -> None:
    assert profile_json(Exec.FREE) == profile_json(Exec.FREE)
    assert "\n" not in profile_json(Exec.FREE)
