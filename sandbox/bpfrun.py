"""What a seccomp filter answers for one system call: its program, interpreted here."""

import struct

from trilemma.errors import SandboxError

ALLOW, LOG, ASK = 0x7FFF0000, 0x7FFC0000, 0x7FC00000
KILL_PROCESS, KILL_THREAD, ERRNO = 0x80000000, 0, 0x00050000

_FORM = struct.Struct("=HBBI")
_WORD = struct.Struct("=I")
_DATA = struct.Struct("=IIQ6Q")


def verdict(program: bytes, nr: int, arch: int, *arguments: int) -> int:
    """The answer to one call: an action, with its error number where it has one.

    Raises:
        SandboxError: it is no program that filters for system calls are made of.

    """
    padded = (*(a % 2**64 for a in arguments), 0, 0, 0, 0, 0, 0)[:6]
    data = _DATA.pack(nr, arch, 0, *padded)
    at = accumulator = 0
    try:
        while True:
            code, true, false, operand = _FORM.unpack_from(program, at * _FORM.size)
            at += 1
            match code:
                case 0x20:  # Load a word of what is known about the call.
                    (accumulator,) = _WORD.unpack_from(data, operand)
                case 0x54:
                    accumulator &= operand
                case 0x05:
                    at += operand
                case 0x15:
                    at += true if accumulator == operand else false
                case 0x25:
                    at += true if accumulator > operand else false
                case 0x35:
                    at += true if accumulator >= operand else false
                case 0x45:
                    at += true if accumulator & operand else false
                case 0x06:
                    return int(operand)
                case _:
                    raise SandboxError(f"unknown instruction {code:#x} in a seccomp filter")
    except struct.error as exc:
        raise SandboxError(f"a seccomp filter without an end: {exc}") from None
