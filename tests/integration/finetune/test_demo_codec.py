"""The trained codec of the demonstration voice, in the server's own Mimi: what it says is understood by the judge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from finetune.codec.model import mimi_config
from finetune.codec.settings import CodecShape
from finetune.demo.hearing import spelling
from finetune.demo.sentences import sentences
from finetune.demo.synthesis import Corpus, synthesise
from finetune.meter.letters import error_rate
from finetune.meter.meter import Meter, read_meter
from tts_engine.model.checkpoint import Checkpoint
from tts_engine.model.mimi.decoder import MimiDecoder, MimiState
from tts_engine.model.mimi.encoder import MimiEncoder
from tts_engine.model.mimi.weights import load_decoder, load_encoder

WEIGHTS = Path(__file__).parents[3] / "finetune/demo/weights"
SHAPE = CodecShape()


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    """Five sentences, each with a word that nothing was trained on."""
    rows = [row for row in sentences({"az": 0}, 5, seed=77) if row.split == "held_out"]
    return synthesise(rows, processes=1)


@pytest.fixture(scope="module")
def judge() -> Meter:
    return read_meter(WEIGHTS / "judge.safetensors")


def _rate(judge: Meter, corpus: Corpus, sounds: list[np.ndarray]) -> float:
    return error_rate(judge.read_all(sounds), [spelling(row) for row in corpus.sentences])


def test_the_judge_understands_the_source(judge: Meter, corpus: Corpus) -> None:
    assert _rate(judge, corpus, [corpus.clip(n) for n in range(len(corpus.sentences))]) < 0.05


def test_what_the_server_makes_of_codes_is_understood_80_ms_at_a_time(judge: Meter, corpus: Corpus) -> None:
    config, checkpoint = mimi_config(SHAPE), Checkpoint(WEIGHTS / "codec")
    encoder, decoder = MimiEncoder(config), MimiDecoder(config)
    load_encoder(encoder, checkpoint)
    load_decoder(decoder, checkpoint)
    sounds: list[np.ndarray] = []
    one, first = torch.ones(1, dtype=torch.bool), torch.zeros(1, dtype=torch.int64)
    with torch.inference_mode():
        for n in range(len(corpus.sentences)):
            codes = encoder(torch.from_numpy(corpus.clip(n))[None])
            state = MimiState(decoder, slots=1, like=torch.zeros(0), max_frames=1)
            frames = [
                decoder(codes[:, i : i + 1], state, slots=first, active=one, fresh=one if i == 0 else ~one)[0].numpy()
                for i in range(codes.shape[1])
            ]
            sounds.append(np.concatenate(frames))
    assert _rate(judge, corpus, sounds) < 0.08
    shuffled = [sounds[n - 1] for n in range(len(corpus.sentences))]
    assert _rate(judge, corpus, shuffled) > 0.5  # the measure can fail
