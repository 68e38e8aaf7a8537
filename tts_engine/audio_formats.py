"""Encoders of `response_format`: PCM16 in pieces in, a file or stream of that format in pieces out."""

from __future__ import annotations

import struct
from importlib import import_module
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from tts_engine.errors import SpeechRequestError

if TYPE_CHECKING:
    import av

AudioFormat: TypeAlias = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]

MEDIA_TYPES: dict[AudioFormat, str] = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
_UNKNOWN_LENGTH = 0xFFFF_FFFF  # what OpenAI's own WAV streams say
# Container and codec names of FFmpeg. An Ogg page holds a second of Opus unless told otherwise.
_CODECS: dict[AudioFormat, tuple[str, str, dict[str, str]]] = {
    "mp3": ("mp3", "libmp3lame", {}),
    "opus": ("ogg", "libopus", {"page_duration": "20000"}),
    "aac": ("adts", "aac", {}),
    "flac": ("flac", "flac", {}),
}


class AudioEncoder(Protocol):
    """One stream of one format. All that was fed has come out once `flush` was called."""

    def feed(self, pcm: bytes) -> bytes:
        """Take an even number of bytes; gives what is ready, maybe nothing yet."""
        ...

    def flush(self) -> bytes:
        """Give what is left; call it once, at the end."""
        ...


def check_format(audio_format: AudioFormat) -> None:
    """Raise `SpeechRequestError` if this server cannot encode it."""
    if audio_format not in ("pcm", "wav"):
        try:
            import_module("av")  # 35 MB of FFmpeg, which a server of PCM does without
        except ImportError as error:
            message = f"response_format: {audio_format} needs PyAV on the server (pip install av); ask for wav or pcm"
            raise SpeechRequestError(message, field="response_format") from error


def encoder_of(audio_format: AudioFormat, sample_rate_hz: int) -> AudioEncoder:
    """Make an encoder, of a WAV stream whose length is not known yet. Raises `SpeechRequestError`."""
    match audio_format:
        case "pcm":
            return _Headed(b"")
        case "wav":
            return _Headed(wav_header(sample_rate_hz, None))
        case _:
            return _Compressed(audio_format, sample_rate_hz)


def wav_header(sample_rate_hz: int, pcm_bytes: int | None) -> bytes:
    """Write the 44 bytes before mono PCM16, of which there are so many bytes; None: not known yet."""
    riff = _UNKNOWN_LENGTH if pcm_bytes is None else pcm_bytes + 36
    data = _UNKNOWN_LENGTH if pcm_bytes is None else pcm_bytes
    format_ = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, sample_rate_hz, sample_rate_hz * 2, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + format_ + struct.pack("<4sI", b"data", data)


class _Headed:
    """PCM as it is, after a header."""

    def __init__(self, header: bytes) -> None:
        self._header = header

    def feed(self, pcm: bytes) -> bytes:
        header, self._header = self._header, b""
        return header + pcm

    def flush(self) -> bytes:
        return self.feed(b"")


class _Written:
    """A file for PyAV that is written from its beginning to its end."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def write(self, data: bytes) -> int:
        self._bytes += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._bytes)
        self._bytes.clear()
        return taken


class _Compressed:
    """What FFmpeg encodes, through PyAV."""

    def __init__(self, audio_format: AudioFormat, sample_rate_hz: int) -> None:
        check_format(audio_format)
        import av  # noqa: PLC0415  # as above

        container, codec, options = _CODECS[audio_format]
        self._rate_hz = sample_rate_hz
        self._silent = True
        self._new_frame = av.AudioFrame.from_ndarray
        self._file = _Written()
        self._container = av.open(self._file, "w", format=container, options=options)
        stream = self._container.add_stream(codec, rate=sample_rate_hz, layout="mono")
        assert isinstance(stream, av.AudioStream)
        self._stream = stream
        context = stream.codec_context
        context.open()
        self._frames = av.AudioResampler(
            format=context.format, layout="mono", rate=sample_rate_hz, frame_size=context.frame_size
        )

    def feed(self, pcm: bytes) -> bytes:
        samples = np.frombuffer(pcm, "<i2").reshape(1, -1)
        if samples.size:
            self._silent = False
            self._put(samples)
        return self._file.take()

    def flush(self) -> bytes:
        if self._silent:  # a file of no sound at all has no frame, often no header, and no player opens it
            self._put(np.zeros((1, self._rate_hz // 50), "<i2"))
        self._encode(None)
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._file.take()

    def _put(self, samples: npt.NDArray[np.int16]) -> None:
        frame = self._new_frame(samples, format="s16", layout="mono")
        frame.sample_rate = self._rate_hz
        self._encode(frame)

    def _encode(self, frame: av.AudioFrame | None) -> None:
        for whole in self._frames.resample(frame):
            self._container.mux(self._stream.encode(whole))
