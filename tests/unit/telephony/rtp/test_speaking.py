"""What many bots play, converted at once."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from telephony.audio.frame import pcm_of
from telephony.audio.pacer import Pacer
from telephony.audio.resample import Resampler
from telephony.media import CodecName
from telephony.rtp.codec import CODECS
from telephony.rtp.packetizer import BotFrame, Packetizer
from telephony.rtp.speaking import Speaking, speak_together


def tone(frames: int, *, hertz: float = 440) -> NDArray[np.int16]:
    return np.rint(8_000 * np.sin(2 * np.pi * hertz * np.arange(480 * frames) / 24_000)).astype(np.int16)


def pieces(sound: NDArray[np.int16]) -> list[bytes]:
    return [pcm_of(frame) for frame in sound.reshape(-1, 480)]


class Bot:
    """A call whose pacer is emptied by hand."""

    def __init__(self, codec: CodecName = "PCMA", *, lead_ms: int = 200) -> None:
        self.pacer: Pacer[BotFrame] = Pacer(lead_ms=lead_ms)
        self.pacer.start(now=0.0)
        self.speaking = Speaking(self.pacer)
        self.speaking.agree(CODECS[codec])
        self.packetizer = Packetizer(CODECS[codec])

    def sent(self) -> bytes:
        """Payloads of all that has been queued."""
        payloads: list[bytes] = []
        while self.pacer.queued_ms:
            payloads += [payload.data for payload in self.packetizer.feed(self.pacer.take())]
        return b"".join(payloads)


@pytest.mark.parametrize("codec", ["PCMA", "PCMU"])
def test_what_is_played_is_resampled_and_coded_as_one_stream(codec: CodecName) -> None:
    bot = Bot(codec)
    for frame in pieces(tone(8)):
        bot.speaking.put(frame)
        speak_together([bot.speaking])

    assert bot.sent() == CODECS[codec].encoder().encode(Resampler(24_000, 8_000).feed(tone(8)))
    assert bot.speaking.played_ms == 160


def test_bots_with_different_codecs_speak_together_as_they_do_alone() -> None:
    codecs: list[CodecName] = ["PCMA", "PCMU", "G722", "opus", "PCMA"]
    together, alone = [Bot(codec) for codec in codecs], [Bot(codec) for codec in codecs]
    for turn in range(4):
        for bots in (together, alone):
            for index, bot in enumerate(bots):
                bot.speaking.put(pieces(tone(4, hertz=200 + 100 * index))[turn])
        speak_together([bot.speaking for bot in together])
        for bot in alone:
            speak_together([bot.speaking])

    sent = [bot.sent() for bot in together]
    assert sent == [bot.sent() for bot in alone]
    assert len(set(sent)) == 5


def test_a_bot_that_has_nothing_to_say_is_passed_over() -> None:
    bot, silent = Bot(), Bot()
    bot.speaking.put(pieces(tone(1))[0])

    speak_together([silent.speaking, bot.speaking])

    assert (bot.pacer.queued_ms, silent.pacer.queued_ms) == (20, 0)


def test_one_frame_at_most_waits_to_be_converted() -> None:
    bot = Bot()
    for frame in pieces(tone(6)):
        bot.speaking.put(frame)

    assert bot.pacer.queued_ms == 100
    assert bot.speaking.queued_ms == 120


def test_what_waits_to_be_converted_counts_towards_the_lead() -> None:
    bot = Bot(lead_ms=40)
    first, second = pieces(tone(2))
    assert not bot.speaking.is_full
    bot.speaking.put(first)
    assert not bot.speaking.is_full
    bot.speaking.put(second)

    assert bot.speaking.is_full


def test_flush_drops_what_is_queued_and_what_waits_and_the_end_of_the_sound() -> None:
    bot = Bot()
    for frame in pieces(tone(5)):
        bot.speaking.put(frame)

    assert bot.speaking.flush() == 100
    assert bot.speaking.flush() == 0
    speak_together([bot.speaking])
    assert (bot.speaking.queued_ms, bot.speaking.played_ms) == (0, 0)
    bot.speaking.put(pcm_of(np.zeros(480, np.int16)))
    speak_together([bot.speaking])

    assert bot.sent() == CODECS["PCMA"].encoder().encode(np.zeros(160, np.int16))


@pytest.mark.parametrize("codec", ["PCMA", "opus"])
def test_after_silence_a_new_sound_begins_without_the_end_of_the_old(codec: CodecName) -> None:
    bot = Bot(codec)
    bot.speaking.put(pieces(tone(1))[0])
    speak_together([bot.speaking])
    for _ in range(3):
        bot.pacer.take()
    quiet = pcm_of(np.zeros(480, np.int16))
    bot.speaking.put(quiet)
    speak_together([bot.speaking])

    frame = bot.pacer.take()
    if isinstance(frame, tuple):
        assert not np.abs(frame[0].decode(frame[1])).max() > 8
    else:
        assert frame == quiet


def test_another_codec_takes_what_waits() -> None:
    bot = Bot("PCMA")
    bot.speaking.put(pieces(tone(1))[0])
    bot.speaking.agree(CODECS["PCMU"])
    speak_together([bot.speaking])
    bot.speaking.put(pieces(tone(1))[0])
    bot.speaking.agree(CODECS["G722"])
    speak_together([bot.speaking])

    companded, wide = bot.pacer.take(), bot.pacer.take()
    assert isinstance(companded, tuple)
    assert companded[0] is CODECS["PCMU"].law
    assert isinstance(wide, bytes)
    assert len(wide) == 640


@pytest.mark.parametrize("codec", ["PCMA", "G722", "opus"])
def test_a_run_of_frames_is_what_they_are_one_by_one(codec: CodecName) -> None:
    run, single = Bot(codec), Bot(codec)
    frames = pieces(tone(6))
    run.speaking.put(frames[0])
    run.speaking.put(b"".join(frames[1:]))
    for frame in frames:
        single.speaking.put(frame)
        speak_together([single.speaking])

    assert run.speaking.queued_ms == 120
    assert run.sent() == single.sent()


def test_the_lead_is_the_pacers() -> None:
    assert Bot(lead_ms=310).speaking.lead_ms == 300
