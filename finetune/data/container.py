"""What the container of a sound file says of its length, which libsndfile does not ask.

A WAV or Ogg file that was cut while it was copied is read without a word, and its text is then longer than its sound.
The length of an MP3 file that has no count of its frames is guessed, and what is beyond the guess is not read.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import BinaryIO

import soundfile

_NOT_KNOWN = 0x7FFF_F000
"""Sizes from here on are written by programs that stream and do not know it (sox, arecord, ffmpeg)."""
_COUNTS = (b"Xing", b"Info", b"VBRI")
_FIRST_FRAME = 2048  # bytes; no frame is longer


def missing_bytes(file: BinaryIO) -> int:
    """How many bytes a WAV or an Ogg file lacks at its end; 0 for what is whole or of another kind."""
    head = file.read(12)
    size = file.seek(0, os.SEEK_END)
    if head[:4] == b"RIFF" and head[8:] == b"WAVE":
        return _missing_of_wav(file, size)
    return _missing_of_ogg(file, size) if head[:4] == b"OggS" else 0


def _missing_of_wav(file: BinaryIO, size: int) -> int:
    file.seek(12)
    while len(chunk := file.read(8)) == 8:
        length = int.from_bytes(chunk[4:], "little")
        if chunk[:4] == b"data":
            return 0 if length >= _NOT_KNOWN else max(length - (size - file.tell()), 0)
        file.seek(length + length % 2, os.SEEK_CUR)
    return 0


def _missing_of_ogg(file: BinaryIO, size: int) -> int:
    """Go from page to page (RFC 3533, section 6): the last one must be whole."""
    at = 0
    while at < size:
        file.seek(at)
        head = file.read(27)
        if head[:4] != b"OggS":  # something else behind the sound
            return 0
        if len(head) < 27 or len(lengths := file.read(head[26])) < head[26]:
            return 1  # more is not known of a page whose own head is cut
        at += 27 + len(lengths) + sum(lengths)
    return max(at - size, 0)


def is_uncounted_mp3(file: BinaryIO) -> bool:
    """Is it an MP3 file of which nobody has written down how long it is."""
    file.seek(0)
    head = file.read(10)
    start = 0
    if head[:3] == b"ID3":
        # the size of ID3v2 has seven bits a byte, and leaves its own ten bytes out
        start = 10 + sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    file.seek(start)
    frame = file.read(_FIRST_FRAME)
    is_mpeg = len(frame) > 2 and frame[0] == 0xFF and frame[1] & 0xE6 == 0xE2
    return is_mpeg and not any(count in frame for count in _COUNTS)


@contextmanager
def piped(file: BinaryIO) -> Generator[soundfile.SoundFile]:
    """Open sound as a stream, of which libsndfile guesses no length: it is read until it ends."""
    file.seek(0)
    data = file.read()
    source, sink = os.pipe()

    def feed() -> None:
        with os.fdopen(sink, "wb", buffering=0) as out:
            view = memoryview(data)
            try:
                while view:
                    view = view[out.write(view) or 0 :]
            except BrokenPipeError:
                return

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        with soundfile.SoundFile(source, closefd=False) as sound:
            yield sound
    finally:
        os.close(source)
        feeder.join()
