"""libsrtp's calls by ctypes, where pylibsrtp has it loaded: they keep the interpreter's lock.

pylibsrtp lets go of the lock in each call, for a microsecond of work, and a media thread that lets go while the bot
computes waits up to the switch interval to get it back: twice a packet, of each call. They cost two thirds as well.
"""

from __future__ import annotations

import ctypes
from importlib import import_module
from typing import Any, Final

from pylibsrtp import Error, Session

_ROOM_BYTES: Final = 2048
_TRAILER_BYTES: Final = 148  # SRTP_MAX_TRAILER_LEN, and the index of SRTCP
_CALL: Final = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)


_BINDING: Any = import_module(
    "pylibsrtp._binding"
)  # private, as is what a session keeps: the lock file has its version


def _address(pointer: Any) -> int:  # noqa: ANN401 - of cffi
    return int(_BINDING.ffi.cast("uintptr_t", pointer))


def _function(name: str) -> Any:  # noqa: ANN401 - ctypes has no type of its own for it
    return _CALL(_address(_BINDING.ffi.addressof(_BINDING.lib, name)))


_PROTECT: Final = _function("srtp_protect")
_PROTECT_RTCP: Final = _function("srtp_protect_rtcp")
_UNPROTECT: Final = _function("srtp_unprotect")
_UNPROTECT_RTCP: Final = _function("srtp_unprotect_rtcp")


class SrtpCalls:
    """The four calls of one `Session`; each raises `pylibsrtp.Error` for what libsrtp refuses."""

    def __init__(self, session: Session) -> None:
        self._session = session  # kept alive
        self._state = _address(getattr(session, "_srtp")[0])  # noqa: B009 - private
        self._room = ctypes.create_string_buffer(_ROOM_BYTES)
        self._length = ctypes.c_int()
        self._room_at, self._length_at = ctypes.addressof(self._room), ctypes.addressof(self._length)

    def protect(self, packet: bytes) -> bytes:
        """Encrypt and sign a packet of RTP."""
        return self._process(_PROTECT, packet)

    def protect_rtcp(self, packet: bytes) -> bytes:
        """Encrypt and sign a compound packet of RTCP."""
        return self._process(_PROTECT_RTCP, packet)

    def unprotect(self, packet: bytes) -> bytes:
        """Check and decrypt a packet of SRTP."""
        return self._process(_UNPROTECT, packet)

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        """Check and decrypt a packet of SRTCP."""
        return self._process(_UNPROTECT_RTCP, packet)

    def _process(self, call: Any, packet: bytes) -> bytes:  # noqa: ANN401 - as above
        size = len(packet)
        if size > _ROOM_BYTES - _TRAILER_BYTES:
            raise Error("the packet is too long")
        ctypes.memmove(self._room_at, packet, size)
        self._length.value = size
        status = call(self._state, self._room_at, self._length_at)
        if status:
            raise Error(f"libsrtp says {status}")
        return ctypes.string_at(self._room_at, self._length.value)
