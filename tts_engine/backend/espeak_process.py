"""The espeak-ng process: the only place that loads libespeak-ng, which is GPL-3.0-or-later.

Run as a program. It reads jobs from standard input and writes audio to standard output, both in frames:
one byte that says what it is, four bytes of length (little-endian), the payload.

    in:   S  JSON {"voice", "words_per_minute", "pitch", "text"}
    out:  R  JSON {"sample_rate_hz", "version"}, once, when it can speak
          A  PCM16: 60 ms at first, so that it is heard soon; then 240 ms, which cost the reader a quarter
          E  the job is done
          X  text: the job, or the start, failed

It ends with its standard input. espeak-ng's state is global: one job at a time.
"""

from __future__ import annotations

import ctypes
import json
import struct
import sys
from dataclasses import asdict, dataclass
from typing import BinaryIO

JOB, READY, AUDIO, END, FAILED = b"S", b"R", b"A", b"E", b"X"
FRAME_FRONT = struct.Struct("<cI")

# speak_lib.h
_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 1 << 15
_CHARS_UTF8 = 1
_LATER_BYTES = 4 * 2 * 1323  # espeak-ng gives 60 ms at a time, of 22,050 Hz
_PARAMETER_RATE, _PARAMETER_PITCH = 1, 3

_SynthCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


@dataclass(frozen=True, slots=True)
class EspeakJob:
    """One piece of text to speak."""

    voice: str
    words_per_minute: int
    pitch: int
    text: str  # personal

    def frame(self) -> bytes:
        """Write it as a frame."""
        return frame(JOB, json.dumps(asdict(self)).encode())


def frame(kind: bytes, payload: bytes = b"") -> bytes:
    """Write one frame."""
    return FRAME_FRONT.pack(kind, len(payload)) + payload


def read_frame(stream: BinaryIO) -> tuple[bytes, bytes] | None:
    """Read one frame; None at the end of the stream."""
    front = stream.read(FRAME_FRONT.size)
    if len(front) < FRAME_FRONT.size:
        return None
    kind, length = FRAME_FRONT.unpack(front)
    return kind, stream.read(length)


class Espeak:
    """libespeak-ng, by the header speak_lib.h of 1.52."""

    def __init__(self, output: BinaryIO) -> None:
        import espeakng_loader  # noqa: PLC0415  # GPL: loaded in this process only

        self._output = output
        self._pending = bytearray()
        self._begun = False
        self._lib = ctypes.CDLL(str(espeakng_loader.get_library_path()))
        self._lib.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
        self._lib.espeak_Synth.argtypes = [
            ctypes.c_char_p,
            ctypes.c_size_t,
            ctypes.c_uint,
            ctypes.c_int,
            ctypes.c_uint,
            ctypes.c_uint,
            ctypes.c_void_p,
            ctypes.c_void_p,
        ]
        self._lib.espeak_Info.restype = ctypes.c_char_p
        data = str(espeakng_loader.get_data_path()).encode()
        self.sample_rate_hz = int(self._lib.espeak_Initialize(_OUTPUT_SYNCHRONOUS, 0, data, _INITIALIZE_DONT_EXIT))
        if self.sample_rate_hz <= 0:
            raise OSError(f"espeak_Initialize failed with {self.sample_rate_hz}; is its data at {data.decode()}?")
        self.version = self._lib.espeak_Info(None).decode()
        self._callback = _SynthCallback(self._on_audio)  # held: C calls it as long as we live
        self._lib.espeak_SetSynthCallback(self._callback)

    def speak(self, job: EspeakJob) -> None:
        """Write the audio of one job; raises `ValueError` for a voice that is not there."""
        if self._lib.espeak_SetVoiceByName(job.voice.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {job.voice!r}")
        self._lib.espeak_SetParameter(_PARAMETER_RATE, job.words_per_minute, 0)
        self._lib.espeak_SetParameter(_PARAMETER_PITCH, job.pitch, 0)
        text = job.text.encode()
        self._begun = False
        error = self._lib.espeak_Synth(text, len(text) + 1, 0, 0, 0, _CHARS_UTF8, None, None)
        self._write()
        if error != 0:
            raise ValueError(f"espeak_Synth failed with {error}")

    def _on_audio(self, samples: int | None, count: int, _events: int | None) -> int:
        if samples and count > 0:
            self._pending += ctypes.string_at(samples, count * 2)
        if not self._begun or len(self._pending) >= _LATER_BYTES:
            self._write()
        return 0

    def _write(self) -> None:
        if self._pending:
            self._output.write(frame(AUDIO, bytes(self._pending)))
            self._output.flush()
            self._pending.clear()
            self._begun = True


def main() -> None:
    """Serve jobs until standard input ends."""
    jobs, output = sys.stdin.buffer, sys.stdout.buffer
    try:
        espeak = Espeak(output)
    except (ImportError, OSError) as error:
        output.write(frame(FAILED, f"{error!r}; pip install 'zeng[espeak]'".encode()))
        return
    hello = {"sample_rate_hz": espeak.sample_rate_hz, "version": espeak.version}
    output.write(frame(READY, json.dumps(hello).encode()))
    output.flush()
    while (job := read_frame(jobs)) is not None:
        try:
            espeak.speak(EspeakJob(**json.loads(job[1])))
            output.write(frame(END))
        except ValueError as error:
            output.write(frame(FAILED, str(error).encode()))
        output.flush()


if __name__ == "__main__":
    main()
