"""How speech sounds after loss and jitter: PESQ and PLCMOS a codec, beside no concealment and aiortc as it comes.

    pip install -e .[bench]      # pesq (needs a C compiler, cython and numpy) and speechmos
    python tests/bench/bench_loss.py [--codecs PCMA G722 opus] [--losses 0 1 3 5 10] [--seeds 1] [--jitter-ms 5]

Packets of 20 ms of the clips in tests/data/speech go through a path of 40 ms with exponential jitter of the given mean
and with loss, random or in bursts (Gilbert-Elliott, 3 packets long on average), then through the playout buffer and
decoder of `telephony/rtp`. "none" plays zeros where something is missing; "aiortc" is its `JitterBuffer(16, 4)` and
decoders, played as its frames come out. PESQ is narrow-band (P.862.1) for G.711 and wide-band (P.862.2) else; PLCMOS
is version 2. Every figure is a mean over the seeds.
"""

from __future__ import annotations

import argparse
import random
import sys
import wave
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import soxr
from aiortc.codecs import get_decoder
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import RtpPacket as AiortcPacket
from numpy.typing import NDArray

try:
    from pesq import pesq
    from speechmos import plcmos
except ImportError:
    pesq = plcmos = None

sys.path.insert(0, str(Path(__file__).parents[2]))

from telephony.audio.frame import samples_of
from telephony.audio.g711 import A_LAW
from telephony.audio.g722 import G722Decoder
from telephony.audio.opus import OpusDecoder
from telephony.audio.playout import Decode, PlayoutAction
from telephony.leg import INPUT_RATE_HZ
from telephony.media import CodecName
from telephony.rtp.codec import CODECS, Codec
from telephony.rtp.decoder import Decoder
from telephony.rtp.depacketizer import Depacketizer
from telephony.rtp.packet import RtpPacket

CLIPS = Path(__file__).parents[1] / "data" / "speech"
PATH_S = 0.040
BURST = 3.0  # packets
SYSTEMS = ("none", "aiortc", "zeng")
Arrival = tuple[float, RtpPacket]


def speech() -> NDArray[np.int16]:
    """All clips with pauses between, at 16 kHz."""
    parts: list[NDArray[np.float64]] = [np.zeros(8_000)]
    for path in sorted(CLIPS.glob("*.wav")):
        with wave.open(str(path)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64)
            parts += [soxr.resample(samples, file.getframerate(), INPUT_RATE_HZ), np.zeros(6_400)]
    whole = np.concatenate(parts)
    return np.clip(whole * 8_000 / np.abs(whole).max() * 2, -32_768, 32_767).astype(np.int16)


def is_lost(percent: float, *, bursts: bool, dice: random.Random) -> Iterator[bool]:
    """Say of each packet whether it is lost."""
    share, bad = percent / 100, False
    while True:
        if not bursts:
            yield dice.random() < share
            continue
        leave = 1 / BURST
        enter = share * leave / (1 - share)
        bad = dice.random() >= leave if bad else dice.random() < enter
        yield bad


def send(
    codec: Codec,
    payload_type: int,
    sound: NDArray[np.int16],
    percent: float,
    *,
    bursts: bool,
    jitter_s: float,
    seed: int,
) -> list[Arrival]:
    """Encode, number and carry; give what arrives, in that order."""
    dice = random.Random(seed)
    encoder = codec.encoder()
    encoder.expect_loss(round(percent))
    rate = codec.encoder_rate_hz
    wanted = (
        sound
        if rate == INPUT_RATE_HZ
        else np.rint(soxr.resample(sound.astype(np.float64), INPUT_RATE_HZ, rate)).astype(np.int16)
    )
    size, arrivals = rate // 50, []
    for number, lost in zip(range(len(wanted) // size), is_lost(percent, bursts=bursts, dice=dice), strict=False):
        payload = encoder.encode(wanted[number * size : (number + 1) * size])
        delay = PATH_S + dice.expovariate(1 / jitter_s) if jitter_s else PATH_S
        if not lost:
            packet = RtpPacket(payload_type, number & 0xFFFF, number * codec.clock_hz // 50, 1, payload)
            arrivals.append((number * 0.02 + min(delay, 0.3), packet))
    return sorted(arrivals, key=lambda arrival: arrival[0])


class Deaf:
    """A voice that knows no concealment."""

    is_silent = False

    def __init__(self, decode: Callable[[bytes], NDArray[np.int16]]) -> None:
        self._decode = decode

    def sound(self, action: PlayoutAction, count: int) -> NDArray[np.int16]:
        return self._decode(action.payload) if isinstance(action, Decode) else np.zeros(count, np.int16)


def deaf(name: CodecName) -> Deaf:
    if name == "G722":
        return Deaf(G722Decoder().decode)
    if name == "opus":
        decoder = OpusDecoder(INPUT_RATE_HZ)
        return Deaf(lambda payload: samples_of(decoder.decode(payload)))
    return Deaf(A_LAW.decode)


def play(codec: Codec, arrivals: list[Arrival], frames: int) -> NDArray[np.int16]:
    """Give what our listener hears, at 16 kHz."""
    depacketizer, decoder = Depacketizer(codec, playout_min_ms=20, playout_max_ms=200), Decoder()
    waiting, heard = list(reversed(arrivals)), []
    for tick in range(frames):
        now = tick * 0.02 + 0.013
        while waiting and waiting[-1][0] <= now:
            at, packet = waiting.pop()
            depacketizer.insert(packet, now=at)
        heard.append(decoder.decode(depacketizer.pull(now=now, quiet=decoder.is_quiet, media_time_ms=tick * 20)))
    return np.concatenate(heard)


def play_aiortc(name: CodecName, arrivals: list[Arrival], frames: int) -> NDArray[np.int16]:
    """Give what a listener to aiortc's track hears: its frames as they come out, silence where none has."""

    known = {"opus": ("audio/opus", 48_000, 2), "G722": ("audio/G722", 8_000, 1), "PCMA": ("audio/PCMA", 8_000, 1)}
    mime, clock, channels = known[name]
    decoder = get_decoder(RTCRtpCodecParameters(mimeType=mime, clockRate=clock, channels=channels, payloadType=96))
    buffer, ready, heard = JitterBuffer(16, 4), [], []
    waiting = list(reversed(arrivals))
    step = 2 if name == "opus" else 1  # stereo
    rate = {"opus": 48_000, "G722": 16_000, "PCMA": 8_000}[name]
    for tick in range(frames):
        now = tick * 0.02 + 0.013
        while waiting and waiting[-1][0] <= now:
            _, ours = waiting.pop()
            packet = AiortcPacket(
                payload_type=96, sequence_number=ours.sequence, timestamp=ours.timestamp, payload=ours.payload
            )
            packet._data = ours.payload
            _, frame = buffer.add(packet)
            if frame is not None:
                ready += [sound.to_ndarray().reshape(-1)[::step] for sound in decoder.decode(frame)]
        heard.append(ready.pop(0) if ready else np.zeros(rate // 50, np.int16))
    whole = np.concatenate(heard).astype(np.float64)
    return np.rint(soxr.resample(whole, rate, INPUT_RATE_HZ) if rate != INPUT_RATE_HZ else whole).astype(np.int16)


def scores(name: CodecName, sound: NDArray[np.int16], heard: NDArray[np.int16]) -> tuple[float, float]:
    """Give PESQ and PLCMOS."""

    if name == "PCMA":
        near, far = (
            soxr.resample(each.astype(np.float64), INPUT_RATE_HZ, 8_000).astype(np.int16) for each in (sound, heard)
        )
        quality = pesq(8_000, near, far, "nb")
    else:
        quality = pesq(INPUT_RATE_HZ, sound, heard, "wb")
    return quality, plcmos.run(heard.astype(np.float32) / 32_768, sr=INPUT_RATE_HZ, return_df=False)["plcmos"]


def measure(
    name: CodecName, sound: NDArray[np.int16], percent: float, *, bursts: bool, jitter_s: float, seeds: int
) -> dict[str, tuple[float, float]]:
    """Give the mean figures of each system."""
    codec, frames = CODECS[name], len(sound) // 320 + 15
    results: dict[str, list[tuple[float, float]]] = {system: [] for system in SYSTEMS}
    for seed in range(seeds):
        arrivals = send(codec, 96, sound, percent, bursts=bursts, jitter_s=jitter_s, seed=seed)
        heard = {
            "none": play(replace(codec, voice=lambda: deaf(name)), arrivals, frames),
            "aiortc": play_aiortc(name, arrivals, frames),
            "zeng": play(codec, arrivals, frames),
        }
        for system, samples in heard.items():
            results[system].append(scores(name, sound, samples))
    return {
        system: (float(np.mean([r[0] for r in found])), float(np.mean([r[1] for r in found])))
        for system, found in results.items()
    }


def main() -> None:
    """Print the tables."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--codecs", nargs="+", default=["PCMA", "G722", "opus"], choices=list(CODECS))
    options.add_argument("--losses", type=float, nargs="+", default=[0, 1, 3, 5, 10])
    options.add_argument("--seeds", type=int, default=1)
    options.add_argument("--jitter-ms", type=float, default=5)
    chosen = options.parse_args()
    if pesq is None:
        print("skipped: pesq and speechmos are not installed (pip install -e .[bench])")
        return
    sound = speech()
    about = f"{len(sound) / INPUT_RATE_HZ:.0f} s of speech, {chosen.seeds} seeds, jitter {chosen.jitter_ms:g} ms"
    print(f"{about}: PESQ / PLCMOS")
    print("| codec | loss | " + " | ".join(SYSTEMS) + " |\n|---|---|" + "---|" * len(SYSTEMS))
    for name in chosen.codecs:
        for percent in chosen.losses:
            for bursts in (False, True) if percent else (False,):
                found = measure(
                    name, sound, percent, bursts=bursts, jitter_s=chosen.jitter_ms / 1000, seeds=chosen.seeds
                )
                kind = f"{percent:g} %{' in bursts' if bursts else ''}"
                cells = " | ".join(f"{found[system][0]:.2f} / {found[system][1]:.2f}" for system in SYSTEMS)
                print(f"| {name} | {kind} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
