"""The frames that travel between gateway and tool host: one implementation for both sides."""

from .toolhost.frames import (
    MAX_DEPTH,
    MAX_FRAME,
    Frame,
    FrameError,
    FrameReader,
    FrameTooLong,
    dumps,
    encode,
    loads,
    send,
)

__all__ = [
    "MAX_DEPTH",
    "MAX_FRAME",
    "Frame",
    "FrameError",
    "FrameReader",
    "FrameTooLong",
    "dumps",
    "encode",
    "loads",
    "send",
]
