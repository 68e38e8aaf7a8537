"""What has come for many calls, made ready at once."""

from __future__ import annotations

import numpy as np

from telephony.audio.frame import samples_of
from telephony.audio.listener import ToneListener
from telephony.audio.playout import Decode
from telephony.leg import AudioReceived, DigitReceived, FramesDropped, Tone, ToneHeard
from telephony.media import InbandDigit, MediaEvent
from telephony.rtp.codec import CODECS
from telephony.rtp.decoder import Decoder
from telephony.rtp.depacketizer import CodedFrame
from telephony.rtp.hearing import Hearing, hear_together
from telephony.rtp.mailbox import Mailbox
from tests.unit.telephony.audio.test_dtmf import dialled

LAW = CODECS["PCMA"]


class Line:
    """A call whose mailbox is filled by hand."""

    def __init__(self, *, audio_frames: int = 100) -> None:
        self.mailbox = Mailbox(audio_frames=audio_frames)
        self.hearing = Hearing(mailbox=self.mailbox, decoder=Decoder(), listener=ToneListener(tones=True))
        self._time_ms = 0

    def comes(self, payload: bytes) -> None:
        self.mailbox.put_audio(CodedFrame(LAW, (Decode(payload),), self._time_ms))
        self._time_ms += 20

    def events(self) -> list[MediaEvent]:
        events = list(self.hearing.heard)
        self.hearing.heard.clear()
        return events


def payloads(sound: np.ndarray) -> list[bytes]:
    codes = LAW.encoder().encode(np.rint(sound).astype(np.int16))
    return [codes[start : start + 160] for start in range(0, len(codes) - 159, 160)]


def pitch(hertz: float, ms: int = 100) -> np.ndarray:
    return 8_000 * np.sin(2 * np.pi * hertz * np.arange(8 * ms) / 8_000)


def pcm(events: list[MediaEvent]) -> bytes:
    return b"".join(event.pcm for event in events if isinstance(event, AudioReceived))


def test_each_call_hears_its_own_and_the_same_as_alone() -> None:
    together, alone = [Line() for _ in range(3)], [Line() for _ in range(3)]
    for lines in (together, alone):
        for index, line in enumerate(lines):
            for payload in payloads(pitch(300.0 * (index + 1)))[: 3 + index % 2]:
                line.comes(payload)

    hear_together([line.hearing for line in together])
    for line in alone:
        hear_together([line.hearing])

    heard = [pcm(line.events()) for line in together]
    assert heard == [pcm(line.events()) for line in alone]
    assert [len(each) // 640 for each in heard] == [3, 4, 3]
    assert len(set(heard)) == 3
    assert all(np.abs(samples_of(each)).max() > 7_000 for each in heard)


def test_media_time_and_other_events_come_along_in_order() -> None:
    line = Line(audio_frames=2)
    for payload in payloads(pitch(300)):
        line.comes(payload)
    line.mailbox.put(DigitReceived("1", 100))

    hear_together([line.hearing])

    digit, dropped, *frames = line.events()
    assert (digit, dropped) == (DigitReceived("1", 100), FramesDropped(3))
    assert [frame.media_time_ms for frame in frames if isinstance(frame, AudioReceived)] == [60, 80]


def test_no_more_than_a_few_frames_are_made_ready_at_once() -> None:
    line = Line()
    for payload in payloads(pitch(300, ms=160)):
        line.comes(payload)

    hear_together([line.hearing])
    assert line.hearing.is_ahead
    assert len(line.events()) == 5
    assert not line.hearing.is_ahead
    hear_together([line.hearing])

    assert len(line.events()) == 3


def test_a_tone_is_told_after_the_frame_that_made_it_certain() -> None:
    line, other = Line(), Line()
    events: list[MediaEvent] = []
    for payload in payloads(np.concatenate((np.zeros(1_600), pitch(2_100, ms=700)))):
        line.comes(payload)
        hear_together([other.hearing, line.hearing])
        events += line.events()

    told = next(index for index, event in enumerate(events) if isinstance(event, ToneHeard))
    frame, tone = events[told - 1], events[told]
    assert isinstance(frame, AudioReceived)
    assert tone == ToneHeard(Tone.FAX_ANSWER, frame.media_time_ms)
    assert other.events() == []


def test_keys_in_the_sound_are_told_where_they_are_wanted() -> None:
    line = Line()
    line.hearing.listener.keys = True
    events: list[MediaEvent] = []
    for payload in payloads(dialled("5")):
        line.comes(payload)
        hear_together([line.hearing])
        events += line.events()

    assert [event.digit.digit for event in events if isinstance(event, InbandDigit)] == ["5"]
