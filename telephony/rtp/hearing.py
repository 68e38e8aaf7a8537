"""The caller's side of one call on the bot's loop: frames out of the mailbox become sound and what is found in it.

`hear_together` does that for all calls that have a frame at one time, which costs a quarter of one by one: numpy's own
cost is by the call of it, not by the sample.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from telephony.audio.frame import pcm_of
from telephony.audio.listener import Found, ToneListener, listen_together
from telephony.leg import INPUT_FRAME_BYTES, AudioReceived, DigitReceived, Tone, ToneHeard
from telephony.media import InbandDigit, MediaEvent
from telephony.rtp.decoder import Decoder, decode_together
from telephony.rtp.depacketizer import CodedFrame
from telephony.rtp.mailbox import Mailbox

_SIZE: Final = INPUT_FRAME_BYTES
_AT_ONCE: Final = 5  # frames of a call; more come in while these are decoded, and what is behind them waits its turn


class Hearing:
    """Gives the events of one call in order. What nobody takes stays in the mailbox, all but a few frames of it."""

    def __init__(self, *, mailbox: Mailbox, decoder: Decoder, listener: ToneListener) -> None:
        self.decoder = decoder
        self.listener = listener
        self.heard: deque[MediaEvent] = deque()  # what has been made ready
        self._mailbox = mailbox

    @property
    def is_ahead(self) -> bool:
        """Whether so much is ready that what else has come may stay in the mailbox."""
        return len(self.heard) >= _AT_ONCE

    def fetch(self) -> CodedFrame | None:
        """Make ready what needs no decoding, up to the next frame, and give that."""
        while not isinstance(event := self._mailbox.get(), CodedFrame):
            if event is None:
                return None
            self.heard.append(event)
        return event


def hear_together(hearings: Sequence[Hearing]) -> None:
    """Make ready what has come for some calls, but no more than a few frames of each."""
    for _ in range(_AT_ONCE):
        there = [(hearing, frame) for hearing in hearings if (frame := hearing.fetch()) is not None]
        if not there:
            return
        hearings = [hearing for hearing, _ in there]
        _hear(hearings, [frame for _, frame in there])


def _hear(hearings: Sequence[Hearing], frames: Sequence[CodedFrame]) -> None:
    """Decode a frame of each call and look for tones in it."""
    samples = decode_together([hearing.decoder for hearing in hearings], frames)
    pcm = pcm_of(samples)
    for index, (hearing, frame) in enumerate(zip(hearings, frames, strict=True)):
        hearing.heard.append(AudioReceived(pcm[index * _SIZE : (index + 1) * _SIZE], frame.media_time_ms))
    for index, found in listen_together([hearing.listener for hearing in hearings], samples).items():
        hearings[index].heard.extend(_event(each, frames[index].media_time_ms) for each in found)


def _event(found: Found, media_time_ms: int) -> MediaEvent:
    if isinstance(found, Tone):
        return ToneHeard(found, media_time_ms)
    return InbandDigit(DigitReceived(found.digit, found.duration_ms))
