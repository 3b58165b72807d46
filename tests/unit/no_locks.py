"""A process in which the system refuses every file lock, as some network drives do.

A seccomp filter answers ``flock`` and the locking commands of ``fcntl`` with ENOLCK, so
that HDF5 and SQLite get what the kernel would give them there. Linux only.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import platform
import struct
import sys

_CALLS = {"x86_64": (73, 72), "aarch64": (32, 25)}
"""Numbers of ``flock`` and ``fcntl``, by machine."""

_LOCK_COMMANDS = (fcntl.F_SETLK, fcntl.F_SETLKW, 37, 38)
"""The last two are F_OFD_SETLK and F_OFD_SETLKW, which Python 3.11 has not."""

_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 38, 22, 2
_COMMAND_OFFSET = 16 + 8
"""Of the low half of the second argument in ``struct seccomp_data``."""


def available() -> bool:
    """Whether this machine's numbers of system calls are known."""
    return sys.platform == "linux" and platform.machine() in _CALLS


def refuse_locks(*, fcntl_too: bool = True) -> None:
    """Refuse locks to this process from now on: all, or those of ``flock`` alone."""
    flock, command = _CALLS[platform.machine()]
    n_commands = len(_LOCK_COMMANDS)
    if not fcntl_too:
        command = 2**32 - 1
    program = [
        (_LOAD, 0, 0, 0),
        (_EQUAL, n_commands + 3, 0, flock),
        (_EQUAL, 0, n_commands + 1, command),
        (_LOAD, 0, 0, _COMMAND_OFFSET),
        *(
            (_EQUAL, n_commands - number, 0, value)
            for number, value in enumerate(_LOCK_COMMANDS)
        ),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERRNO | errno.ENOLCK),
    ]
    code = b"".join(struct.pack("HBBI", *line) for line in program)
    memory = ctypes.create_string_buffer(code)
    header = ctypes.create_string_buffer(
        struct.pack("HxxxxxxP", len(program), ctypes.addressof(memory))
    )
    libc = ctypes.CDLL(None, use_errno=True)
    for call in (
        (_NO_NEW_PRIVILEGES, 1, 0, 0, 0),
        (_SECCOMP, _FILTER, ctypes.byref(header), 0, 0),
    ):
        if libc.prctl(*call) != 0:
            raise OSError(ctypes.get_errno(), "no filter could be set")
