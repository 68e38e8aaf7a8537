"""`Voice`: one stream's payloads to sound, with what replaces those that are missing, codec by codec."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from telephony.audio.conceal import Concealer, crossfade
from telephony.audio.frame import samples_of
from telephony.audio.opus import OpusDecoder
from telephony.audio.playout import Conceal, Decode, PlayoutAction
from telephony.errors import RemoteProtocolError

_NOTHING: tuple[bytes | None, NDArray[np.int16]] = (None, np.zeros(0, np.int16))


class Voice(Protocol):
    """Gives the sound of one action after the other."""

    @property
    def is_silent(self) -> bool:
        """Whether what is missing now would be replaced by zeros."""
        ...

    def sound(self, action: PlayoutAction, count: int) -> NDArray[np.int16]:
        """Give the sound of an action; `count` samples where nothing is there to decode."""
        ...


class WaveformVoice:
    """A codec without concealment of its own: the waveform is repeated and fades out (`audio/conceal.py`)."""

    def __init__(self, decode: Callable[[bytes], NDArray[np.int16]], rate_hz: int) -> None:
        self._decode = decode
        self._concealer = Concealer(rate_hz)
        self._ahead = _NOTHING  # the payload after a gap, decoded before its time

    @property
    def is_silent(self) -> bool:
        """Whether what is missing now would be replaced by zeros."""
        return self._concealer.is_silent

    def sound(self, action: PlayoutAction, count: int) -> NDArray[np.int16]:
        """Give the sound of an action; a pause fades out as a loss does."""
        match action:
            case Decode(payload, None):
                return self._concealer.feed(self._decoded(payload))
            case Decode(payload, bytes(merge)):
                earlier = self._decoded(merge)
                return self._concealer.feed(crossfade(earlier, self._decoded(payload)))
            case Conceal(bytes(following)):
                sound = self._decoded(following)
                self._ahead = (following, sound)
                return self._concealer.bridge(count, sound)
            case _:
                return self._concealer.conceal(count)

    def take(self, sound: NDArray[np.int16]) -> NDArray[np.int16]:
        """Give the sound of a payload that was decoded elsewhere, the last one's end blended in after a loss."""
        self._ahead = _NOTHING
        return self._concealer.feed(sound)

    def _decoded(self, payload: bytes) -> NDArray[np.int16]:
        """Decode, but a payload that was decoded ahead of its time only once: some codecs keep state."""
        (known, sound), self._ahead = self._ahead, _NOTHING
        return sound if known is payload else self._decode(payload)


class OpusVoice:
    """Opus: what is missing comes from the next packet's FEC, or from the decoder's own concealment."""

    def __init__(self, rate_hz: int) -> None:
        self._decoder = OpusDecoder(rate_hz)
        self.is_silent = True

    def sound(self, action: PlayoutAction, count: int) -> NDArray[np.int16]:
        """Give the sound of an action; a payload that is not Opus is concealed."""
        try:
            return self._play(action, count)
        except RemoteProtocolError:
            return samples_of(self._decoder.conceal(count))

    def _play(self, action: PlayoutAction, count: int) -> NDArray[np.int16]:
        match action:
            case Decode(payload, merge):
                self.is_silent = False
                if merge is None:
                    return samples_of(self._decoder.decode(payload))
                earlier, later = samples_of(self._decoder.decode(merge)), samples_of(self._decoder.decode(payload))
                return crossfade(earlier, later) if len(earlier) == len(later) else later
            case Conceal(bytes(following)):
                return samples_of(self._decoder.recover(following, count))
            case Conceal():
                return samples_of(self._decoder.conceal(count))
            case _:
                self.is_silent = True
                return np.zeros(count, np.int16)
