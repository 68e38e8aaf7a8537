"""What the playout buffer gave out becomes sound at 16 kHz, with concealment and comfort noise. On the bot's side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from telephony.audio.comfort_noise import ComfortNoise
from telephony.audio.frame import QUIET_PEAK, is_quiet
from telephony.audio.playout import Conceal, Decode, Noise, PlayoutAction, Silence
from telephony.audio.resample import Resampler, feed_together
from telephony.leg import FRAME_MS, INPUT_RATE_HZ
from telephony.rtp.codec import CODECS, Codec
from telephony.rtp.depacketizer import CodedFrame
from telephony.rtp.voice import WaveformVoice

INPUT_SAMPLES: Final = INPUT_RATE_HZ * FRAME_MS // 1000
_SILENT_FRAME = np.zeros(INPUT_SAMPLES, np.int16)
_SILENT_FRAME.flags.writeable = False
_NOTHING = np.zeros(0, np.int16)


class Decoder:
    """One stream, frame by frame in order; where frames were dropped before, a seam is heard."""

    def __init__(self) -> None:
        self.is_quiet = True  # the last frame was no speech; read by the media thread
        self._noise = ComfortNoise()
        self._begin(CODECS["PCMU"])

    def _begin(self, codec: Codec) -> None:
        self._codec = codec
        self._voice = codec.voice()
        self.resampler = None if codec.rate_hz == INPUT_RATE_HZ else Resampler(codec.rate_hz, INPUT_RATE_HZ)
        self._plain_bytes = 0 if codec.law is None else codec.rate_hz * FRAME_MS // 1000
        self._is_settled = True  # a frame of zeros has gone through the filter since the last sound
        self._is_noisy = False  # the caller has fallen silent and has said how its line hisses
        self._left = _NOTHING  # of an action longer than a frame

    def decode(self, frame: CodedFrame) -> NDArray[np.int16]:
        """Give 20 ms at 16 kHz."""
        if frame.codec is not self._codec:
            self._begin(frame.codec)
        was_silent = self._is_silent
        samples = self._take(frame)
        self.is_quiet = is_quiet(samples)
        if was_silent and self._is_silent and not len(self._left):
            if self._is_settled:
                return _SILENT_FRAME
            self._is_settled = True
        else:
            self._is_settled = False
        return samples if self.resampler is None else self.resampler.feed(samples)

    def plain_payload(self, frame: CodedFrame) -> bytes | None:
        """Give the payload of a frame that is nothing but one whole packet of G.711; None of any other."""
        if frame.codec is not self._codec or len(frame.actions) != 1 or len(self._left):
            return None
        action = frame.actions[0]
        if isinstance(action, Decode) and action.merge is None and len(action.payload) == self._plain_bytes:
            return action.payload
        return None

    def take(self, sound: NDArray[np.int16], *, quiet: bool) -> NDArray[np.int16]:
        """Give the sound of `plain_payload`, which has been decoded, as it is to be resampled."""
        assert isinstance(self._voice, WaveformVoice)
        self._is_noisy = self._is_settled = False
        self.is_quiet = quiet
        return self._voice.take(sound)

    @property
    def _is_silent(self) -> bool:
        return self._voice.is_silent and not self._is_noisy

    def _take(self, frame: CodedFrame) -> NDArray[np.int16]:
        """Give 20 ms at the codec's rate, and keep what is left of a longer action."""
        per_ms = self._codec.rate_hz // 1000
        size = FRAME_MS * per_ms
        parts = [self._sound(action, frame.action_ms * per_ms) for action in frame.actions]
        samples = parts[0] if len(parts) == 1 and not len(self._left) else np.concatenate((self._left, *parts))
        if len(samples) < size:  # the frame that held the rest was dropped on its way
            samples = np.concatenate((samples, self._sound(Conceal(), size - len(samples))))
        self._left = samples[size:][-frame.action_ms * per_ms :]
        return samples[:size]

    def _sound(self, action: PlayoutAction, count: int) -> NDArray[np.int16]:
        if isinstance(action, Noise):
            self._is_noisy = True
            self._noise.describe(action.payload)
        elif not isinstance(action, Silence):
            self._is_noisy = False
        if not self._is_noisy:
            return self._voice.sound(action, count)
        # What was said last fades out into the noise.
        tail = self._voice.sound(Silence(), count).astype(np.int32)
        return np.clip(tail + self._noise.make(count), -32_768, 32_767).astype(np.int16)


def decode_together(decoders: Sequence[Decoder], frames: Sequence[CodedFrame]) -> NDArray[np.int16]:
    """Decode a frame of each of some calls; (calls, 320), each row what the call's own `decode` gives.

    Whole packets of G.711, nearly all frames there are, go through one table and one filter for all calls.
    """
    heard = np.empty((len(frames), INPUT_SAMPLES), np.int16)
    plain: dict[Codec, tuple[list[int], list[bytes]]] = {}
    for index, (decoder, frame) in enumerate(zip(decoders, frames, strict=True)):
        payload = decoder.plain_payload(frame)
        if payload is None:
            heard[index] = decoder.decode(frame)
        else:
            indices, payloads = plain.setdefault(frame.codec, ([], []))
            indices.append(index)
            payloads.append(payload)
    for codec, (indices, payloads) in plain.items():
        rows = _decode_plain(codec, [decoders[index] for index in indices], payloads)
        if len(indices) == len(frames):
            return rows
        heard[indices] = rows
    return heard


def _decode_plain(codec: Codec, decoders: list[Decoder], payloads: list[bytes]) -> NDArray[np.int16]:
    assert codec.law is not None
    sounds = codec.law.decode(b"".join(payloads)).reshape(len(payloads), -1)
    quiet = (sounds.max(axis=1) < QUIET_PEAK) & (sounds.min(axis=1) > -QUIET_PEAK)
    resamplers: list[Resampler] = []
    for index, (decoder, is_quiet_now) in enumerate(zip(decoders, quiet.tolist(), strict=True)):
        sound = sounds[index].copy()  # it is kept, and is not to keep what others said
        taken = decoder.take(sound, quiet=is_quiet_now)
        if taken is not sound:  # a loss has ended
            sounds[index] = taken
        assert decoder.resampler is not None
        resamplers.append(decoder.resampler)
    return feed_together(resamplers, sounds)
