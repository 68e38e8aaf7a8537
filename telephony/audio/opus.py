"""Opus (RFC 6716) by ctypes on the libopus that PyAV bundles: mono speech, with PLC and in-band FEC.

PyAV itself can decode no frame that is *missing*, and encodes 48 kHz stereo at complexity 10. libopus resamples on
its own, in its coding transform: a decoder made for 16 kHz gives 16 kHz, an encoder made for 24 kHz takes 24 kHz,
whatever the rate of the other side. So no resampler stands on either path, and none of its delay.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import sys
from functools import cache
from pathlib import Path
from typing import Final

import av

from telephony.errors import RemoteProtocolError, TelephonyError

MAX_PACKET_MS: Final = 120  # RFC 6716, 3.2.5 [R5]
MAX_PACKET_BYTES: Final = 1275  # of one frame, RFC 6716, 3.2.1 [R2]
_APPLICATION_VOIP: Final = 2048
_SIGNAL_VOICE: Final = 3001
_SET_BITRATE: Final = 4002
_SET_COMPLEXITY: Final = 4010
_SET_INBAND_FEC: Final = 4012
_SET_PACKET_LOSS_PERC: Final = 4014
_SET_SIGNAL: Final = 4024
_RESET_STATE: Final = 4028


class OpusNotFoundError(TelephonyError):
    """No libopus on this machine; the message says where it was looked for."""


def library_candidates(av_folder: Path, platform: str) -> list[Path]:
    """Where PyAV's wheels keep libopus: `av.libs` beside the package (Linux, Windows), `av/.dylibs` in it (macOS)."""
    if platform == "darwin":
        return sorted((av_folder / ".dylibs").glob("libopus*.dylib"))
    pattern = "*opus*.dll" if platform == "win32" else "libopus*.so*"
    return sorted((av_folder.parent / "av.libs").glob(pattern))


def find_library(av_folder: Path, platform: str) -> str:
    """PyAV's own libopus, else the system's; raises `OpusNotFoundError`."""
    for path in library_candidates(av_folder, platform):
        return str(path)
    if name := ctypes.util.find_library("opus"):
        return name
    raise OpusNotFoundError(
        f"libopus was found neither beside PyAV ({av_folder.parent / 'av.libs'}) nor on this system: "
        "install PyAV from its wheel (pip install --force-reinstall --only-binary av av) or the libopus0 package"
    )


@cache
def libopus() -> ctypes.CDLL:
    """Load the library, once; raises `OpusNotFoundError`. Called early, it tells of a missing one at the start."""
    # PyDLL keeps the interpreter's lock: a media thread that let go of it beside a busy bot, for the 30 or 200 us
    # that a frame takes, would wait up to 5 ms to get it back.
    library = ctypes.PyDLL(find_library(Path(av.__path__[0]), sys.platform))
    pointer, integer, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    signatures = {
        "opus_decoder_create": (pointer, [integer, integer, ctypes.POINTER(integer)]),
        "opus_decoder_destroy": (None, [pointer]),
        "opus_decoder_ctl": (integer, [pointer, integer]),
        "opus_decode": (integer, [pointer, text, ctypes.c_int32, pointer, integer, integer]),
        "opus_encoder_create": (pointer, [integer, integer, integer, ctypes.POINTER(integer)]),
        "opus_encoder_destroy": (None, [pointer]),
        "opus_encoder_ctl": (integer, [pointer, integer]),  # and one more, by the request: variadic
        "opus_encode": (ctypes.c_int32, [pointer, text, integer, pointer, ctypes.c_int32]),
        "opus_packet_get_nb_samples": (integer, [text, ctypes.c_int32, ctypes.c_int32]),
        "opus_strerror": (text, [integer]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _text_of(code: int) -> str:
    return str(libopus().opus_strerror(code).decode())


def packet_ms(packet: bytes) -> int:
    """Tell how long a packet lasts, from its first bytes; 0 for none that can be played.

    Packets of 2.5 ms exist and are sent by nobody, nor are odd multiples of it: those are no whole number of ms, and
    libopus conceals whole steps of 2.5 ms alone.
    """
    samples = int(libopus().opus_packet_get_nb_samples(packet, len(packet), 48_000))
    return samples // 48 if samples > 0 and samples % 48 == 0 else 0


class OpusDecoder:
    """Packets in, PCM16 mono out at `rate_hz` (8, 12, 16, 24 or 48 kHz), one decoder a call."""

    def __init__(self, rate_hz: int) -> None:
        error = ctypes.c_int()
        self._library = libopus()
        self._state = self._library.opus_decoder_create(rate_hz, 1, ctypes.byref(error))
        if error.value:
            raise ValueError(f"no Opus decoder for {rate_hz} Hz: {_text_of(error.value)}")
        self._most = rate_hz * MAX_PACKET_MS // 1000  # samples of a packet
        self._pcm = ctypes.create_string_buffer(2 * self._most)
        self._pcm_at = ctypes.addressof(self._pcm)

    def __del__(self) -> None:
        self.close()

    def decode(self, packet: bytes) -> bytes:
        """One packet of any duration up to 120 ms; raises `RemoteProtocolError` for one that is not Opus."""
        return self._decode(packet, self._most, fec=0)

    def recover(self, following: bytes, samples: int) -> bytes:
        """Give `samples` of lost audio from the packet after it, by its in-band FEC; concealed if it has none."""
        return self._decode(following, samples, fec=1)

    def conceal(self, samples: int) -> bytes:
        """Give `samples` (a multiple of 2.5 ms) of lost audio, extrapolated from what was heard, fading out."""
        return self._decode(b"", samples, fec=0)

    def reset(self) -> None:
        """Forget what was heard, as for a stream that starts anew (another SSRC)."""
        self._library.opus_decoder_ctl(self._state, _RESET_STATE)

    def close(self) -> None:
        """Free the decoder; it decodes no more."""
        if state := self.__dict__.pop("_state", None):
            self._library.opus_decoder_destroy(state)

    def _decode(self, packet: bytes, samples: int, *, fec: int) -> bytes:
        data = packet or None  # None asks for concealment
        count = int(self._library.opus_decode(self._state, data, len(packet), self._pcm_at, samples, fec))
        if count < 0:
            raise RemoteProtocolError(f"not an Opus packet: {_text_of(count)} ({len(packet)} bytes)")
        return ctypes.string_at(self._pcm_at, 2 * count)


class OpusEncoder:
    """PCM16 mono frames at `rate_hz` in, packets out, one encoder a call.

    Complexity 3 and 32 kb/s: superwideband speech at PESQ 4.43, for 99 us a frame; complexity 5 takes 126 us for 4.44,
    complexity 10 takes 171 us for 4.47, complexity 0 takes 55 us for 4.35 (docs/benchmarks.md). In-band FEC repeats a
    frame's essence in the next packet, as much as `expect_loss` asks for. DTX stays off: after it a decoder fades the
    next loud sound in over 200 ms (measured with a tone).
    """

    def __init__(self, rate_hz: int, *, bitrate_bps: int = 32_000, complexity: int = 3) -> None:
        error = ctypes.c_int()
        self._library = libopus()
        self._state = self._library.opus_encoder_create(rate_hz, 1, _APPLICATION_VOIP, ctypes.byref(error))
        if error.value:
            raise ValueError(f"no Opus encoder for {rate_hz} Hz: {_text_of(error.value)}")
        self._packet = ctypes.create_string_buffer(MAX_PACKET_BYTES)
        self._packet_at = ctypes.addressof(self._packet)
        for request, value in (
            (_SET_BITRATE, bitrate_bps),
            (_SET_COMPLEXITY, complexity),
            (_SET_SIGNAL, _SIGNAL_VOICE),
            (_SET_INBAND_FEC, 1),
        ):
            self._set(request, value)

    def __del__(self) -> None:
        self.close()

    def encode(self, pcm: bytes) -> bytes:
        """One frame (2.5, 5, 10, 20, 40 or 60 ms) to one packet."""
        size = int(self._library.opus_encode(self._state, pcm, len(pcm) // 2, self._packet_at, MAX_PACKET_BYTES))
        if size < 0:
            raise ValueError(f"{len(pcm)} bytes are no Opus frame: {_text_of(size)}")
        return ctypes.string_at(self._packet_at, size)

    def reset(self) -> None:
        """Forget what was encoded; bit rate, complexity and expected loss stay."""
        self._library.opus_encoder_ctl(self._state, _RESET_STATE)

    def expect_loss(self, percent: int) -> None:
        """How many packets of a hundred the far side loses (RTCP): the strength of the in-band FEC."""
        self._set(_SET_PACKET_LOSS_PERC, max(0, min(percent, 100)))

    def close(self) -> None:
        """Free the encoder; it encodes no more."""
        if state := self.__dict__.pop("_state", None):
            self._library.opus_encoder_destroy(state)

    def _set(self, request: int, value: int) -> None:
        code = int(self._library.opus_encoder_ctl(self._state, request, ctypes.c_int(value)))
        if code:
            raise ValueError(f"Opus refuses {request}={value}: {_text_of(code)}")
