"""Seccomp filters: readable rules, assembled into classic BPF."""

import errno
import struct
from collections.abc import Sequence
from typing import NamedTuple

from .syscalls import ABSENT, AUDIT_ARCH, MACHINE, NEWEST, number

_LOAD, _AND, _JUMP_EQUAL, _JUMP_ABOVE, _RETURN = 0x20, 0x54, 0x15, 0x25, 0x06
_NR, _ARCH, _ARGS = 0, 4, 16

_KILL_PROCESS, _ERRNO, _NOTIFY, _ALLOW = 0x80000000, 0x00050000, 0x7FC00000, 0x7FFF0000

NOTIFY = -1
"""In place of an error number: ask the process that holds the filter's listener."""


class Test(NamedTuple):
    """``(argument & mask) == value``, or its opposite; on the low 32 bits of the argument."""

    argument: int
    mask: int
    value: int
    equal: bool = True


class Rule(NamedTuple):
    """Refuse one system call with ``error``, where all ``tests`` hold."""

    syscall: str
    error: int = errno.EPERM
    tests: tuple[Test, ...] = ()


def assemble(rules: Sequence[Rule], machine: str = MACHINE) -> bytes:
    """The filter's program. What no rule matches is allowed."""
    program = [
        _op(_LOAD, _ARCH),
        # Another architecture's numbers (int 0x80 on x86-64) would slip past every rule.
        _op(_JUMP_EQUAL, AUDIT_ARCH[machine], 1, 0),
        _op(_RETURN, _KILL_PROCESS),
        _op(_LOAD, _NR),
        # Also the x32 range of x86-64, which begins far above.
        _op(_JUMP_ABOVE, NEWEST, 0, 1),
        _op(_RETURN, _ERRNO | errno.ENOSYS),
    ]
    for rule in rules:
        if rule.syscall not in ABSENT[machine]:
            program += _block(rule, number(rule.syscall, machine))
    program.append(_op(_RETURN, _ALLOW))
    return b"".join(program)


def _block(rule: Rule, nr: int) -> list[bytes]:
    action = _NOTIFY if rule.error == NOTIFY else _ERRNO | rule.error
    body = [_op(_RETURN, action)]
    if rule.tests:
        # The tests overwrite the number; whoever falls through loads it again.
        body.append(_op(_LOAD, _NR))
    for test in reversed(rule.tests):
        leave = len(body) - 1
        jump = (0, leave) if test.equal else (leave, 0)
        body = [
            _op(_LOAD, _ARGS + 8 * test.argument),
            _op(_AND, test.mask),
            _op(_JUMP_EQUAL, test.value, *jump),
            *body,
        ]
    return [_op(_JUMP_EQUAL, nr, 0, len(body)), *body]


def _op(code: int, operand: int, true: int = 0, false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, true, false, operand)
