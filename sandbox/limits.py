"""Resource limits: each with its value, its owner, and what happens when it is hit."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one sandbox. Sizes in bytes, times in seconds."""

    memory: int = 512 * 1024 * 1024
    """Engine (cgroup). The kernel kills the process; the call ends with ``out_of_memory``."""
    processes: int = 128
    """Engine (cgroup). fork fails inside; the call sees the error."""
    cpus: float = 1.0
    """Engine (cgroup). The call runs slower."""
    scratch: int = 64 * 1024 * 1024
    """Size of the tmpfs ``/tmp``. Writing fails with ENOSPC."""
    file_size: int = 256 * 1024 * 1024
    """Tool host (RLIMIT_FSIZE). Writing past it fails with EFBIG."""
    open_files: int = 256
    """Tool host, for each process of a call (RLIMIT_NOFILE). Opening fails with EMFILE."""
    output: int = 1024 * 1024
    """Tool host. A longer result is refused with ``result_too_large``; command output is cut."""
    call_seconds: float = 60.0
    """Gateway. The call and everything it started are killed; it ends with ``timeout``."""
    layer: int = 1024 * 1024 * 1024
    """Gateway, beside the calls, once a second. Over it, calls that write are killed and refused;
    so they are where the disk is nearly full. A file counts as 4 KiB at least."""
