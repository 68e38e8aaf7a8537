"""How fast small CSMs speak on one core: `python -m tests.bench.bench_small_csm [VOICE ...]`.

Random weights of some sizes, or the folders that are given, in the speech server's own engine (PyTorch, float32, one
thread). Prints a line a voice: parameters, first audio, and seconds of processor and of clock for a second of sound.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import threading
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from transformers.utils import logging

from finetune.codec.model import Codec, write_codec
from finetune.codec.settings import CodecShape
from finetune.demo.base import BaseShape, write_base
from finetune.voice import prompt_builder
from tts_engine.backend.csm_engine import EngineEvent, Finished, Job, Spoke
from tts_engine.backend.torch_engine import TorchEngine
from tts_engine.model.checkpoint import Checkpoint
from tts_engine.model.config import CsmConfig
from tts_engine.model.csm import CsmModel
from tts_engine.model.mimi.decoder import MimiDecoder
from tts_engine.model.mimi.weights import load_decoder
from tts_engine.model.sampling import Sampling
from tts_engine.model.weights import load_csm

TEXT = "Salam, sizə necə kömək edə bilərəm?"
FRAMES, TIMES = 50, 5
SIZES = {
    "9 M": BaseShape(
        hidden=256, layers=6, heads=4, feed=768, depth_hidden=192, depth_layers=2, depth_heads=3, depth_kv_heads=1
    ),
    "18 M (the demonstration's)": BaseShape(),
    "33 M": BaseShape(hidden=512, layers=8, heads=8, feed=1536),
}


@dataclass
class Listener:
    """Waits for one job after the other and notes when the first sound of each came."""

    first_s: float = 0.0
    frames: int = 0
    done: threading.Event = field(default_factory=threading.Event)

    def begin(self) -> None:
        self.first_s, self.frames = 0.0, 0
        self.done.clear()

    def take(self, events: Sequence[EngineEvent]) -> None:
        for event in events:
            if isinstance(event, Spoke):
                self.first_s = self.first_s or time.perf_counter()
                self.frames += 1
            elif isinstance(event, Finished):
                self.done.set()


def random_voice(folder: Path, shape: BaseShape) -> Path:
    codec = Codec(CodecShape())
    for book in codec.quantizer.codebooks():
        book.embed_sum.normal_()
    write_codec(codec, folder / "codec")
    write_base(folder / "voice", folder / "codec", [TEXT] * 10, shape)
    return folder / "voice"


def measure(name: str, folder: Path) -> None:
    config, checkpoint = CsmConfig.read(folder), Checkpoint(folder)
    model, decoder = CsmModel(config), MimiDecoder(config.mimi)
    load_csm(model, checkpoint)
    load_decoder(decoder, checkpoint)
    engine = TorchEngine(model, decoder, slots=1, positions=512)
    listener = Listener()
    engine.start(listener.take)
    firsts, clocks, processors = [], [], []
    for number in range(TIMES + 1):
        listener.begin()
        prompt = prompt_builder(folder, config).build(TEXT, speaker=0, reserve_frames=FRAMES)
        began, busy = time.perf_counter(), time.process_time()
        engine.submit(Job(number, prompt, Sampling(0.6, 0.6, seed=number), FRAMES))
        listener.done.wait()
        if number:  # the first one warms up
            seconds = max(listener.frames, 1) / config.mimi.frame_rate_hz
            firsts.append((listener.first_s - began) * 1000)
            clocks.append((time.perf_counter() - began) / seconds)
            processors.append((time.process_time() - busy) / seconds)
    engine.close()
    parameters = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    print(
        f"{name}: {parameters:.1f} M parameters and codec; first audio {statistics.median(firsts):.0f} ms, "
        f"a second of sound takes {statistics.median(processors):.2f} s of processor, "
        f"{statistics.median(clocks):.2f} s of clock"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("voices", nargs="*", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    warnings.simplefilter("ignore")
    print(f"{torch.__version__}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for voice in args.voices:
        measure(voice.name, voice)
    for name, shape in () if args.voices else SIZES.items():
        with tempfile.TemporaryDirectory() as folder:
            measure(name, random_voice(Path(folder), shape))


if __name__ == "__main__":
    main()
