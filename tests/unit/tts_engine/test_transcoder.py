from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import numpy as np
import pytest

from tests.waiting import HUNG_S, eventually
from tts_engine.audio_formats import encoder_of
from tts_engine.errors import SpeechRequestError
from tts_engine.resample import StreamResampler
from tts_engine.transcoder import Transcoder, check_encodable

PIECE = 3840  # 80 ms


class Encoder:
    """Notes who encodes what, and waits inside until it may go on."""

    def __init__(self) -> None:
        self.fed: list[bytes] = []
        self.threads: set[int] = set()
        self.encoding, self.go_on = threading.Event(), threading.Event()

    def feed(self, pcm: bytes) -> bytes:
        self.threads.add(threading.get_ident())
        self.encoding.set()
        assert self.go_on.wait(HUNG_S)
        self.fed.append(pcm)
        return pcm

    def flush(self) -> bytes:
        return b""


class Nobody(Executor):
    def submit(self, *_: object, **__: object) -> Future:
        raise AssertionError("handed over for nothing")


@pytest.fixture
def encoders() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


def over(encoder: Encoder, encoders: Executor) -> Transcoder:
    return Transcoder(StreamResampler(24_000, 24_000), encoder, encoders)


def noise(seed: int) -> list[bytes]:
    pcm = np.random.default_rng(seed).integers(-8000, 8000, PIECE * 5, dtype=np.int16).astype("<i2").tobytes()
    return [pcm[at : at + PIECE] for at in range(0, len(pcm), PIECE)]


async def test_the_loop_goes_on_while_a_piece_is_encoded(encoders) -> None:
    encoder = Encoder()

    feeding = asyncio.create_task(over(encoder, encoders).feed(b"ab"))
    await eventually(encoder.encoding.is_set)  # were it encoded here, nobody could let it go on
    encoder.go_on.set()

    assert await feeding == b"ab"
    assert threading.get_ident() not in encoder.threads


async def test_streams_that_share_threads_each_come_out_as_if_alone(encoders) -> None:
    def alone(seed: int) -> bytes:
        encoder = encoder_of("mp3", 24_000)
        return b"".join(map(encoder.feed, noise(seed))) + encoder.flush()

    async def stream(seed: int) -> bytes:
        transcoder = await Transcoder.of("mp3", 24_000, encoders)
        pieces = [await transcoder.feed(piece) for piece in noise(seed)]
        return b"".join([*pieces, await transcoder.flush()])

    assert await asyncio.gather(*map(stream, range(6))) == list(map(alone, range(6)))


async def test_what_a_client_that_left_was_still_owed_is_not_encoded(encoders) -> None:
    holding, waiting = (Encoder(), Encoder()), Encoder()
    busy = [asyncio.create_task(over(encoder, encoders).feed(b"ab")) for encoder in holding]
    for encoder in holding:
        await eventually(encoder.encoding.is_set)
    left = asyncio.create_task(over(waiting, encoders).feed(b"cd"))
    await asyncio.sleep(0)

    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left
    for encoder in holding:
        encoder.go_on.set()
    await asyncio.gather(*busy)
    encoders.shutdown()

    assert not waiting.encoding.is_set()


async def test_pcm_is_not_worth_handing_over() -> None:
    transcoder = await Transcoder.of("pcm", 24_000, Nobody())

    assert await transcoder.feed(b"ab") + await transcoder.flush() == b"ab"


async def test_a_wav_stream_has_another_rate_if_asked() -> None:
    transcoder = await Transcoder.of("wav", 8_000, Nobody())

    wav = b"".join([await transcoder.feed(piece) for piece in noise(1)]) + await transcoder.flush()

    assert len(wav) == 44 + PIECE * 5 * 2 // 3


async def test_a_format_that_cannot_be_encoded_is_refused_by_name(encoders, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)

    with pytest.raises(SpeechRequestError, match="opus needs PyAV"):
        await check_encodable("opus", encoders)
    with pytest.raises(SpeechRequestError, match="opus needs PyAV"):
        await Transcoder.of("opus", 24_000, encoders)
    await check_encodable("wav", Nobody())
