"""Codes made in batches are those made one by one, and clips that would read as the end are found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file, save_file

from finetune.data.codes import Encoder, read_as_end
from finetune.data.manifest import read_manifest
from finetune.data.prepare import prepare
from finetune.data.reasons import Reason
from finetune.data.settings import PrepareSettings
from finetune.errors import CorpusError
from tests.unit.finetune.data.sounds import recording, write
from tests.unit.finetune.tiny import CODEBOOKS, Base, write_base


def test_a_batch_of_unlike_lengths_gives_each_sound_the_codes_it_has_alone(base: Base):
    encoder = Encoder(base.folder, device=torch.device("cpu"))
    sounds = [recording(seconds, seed=n) for n, seconds in enumerate((0.3, 1.0, 0.71, 2.2))]
    together = encoder.encode(sounds)
    for sound, codes in zip(sounds, together, strict=True):
        assert np.array_equal(encoder.encode([sound])[0], codes)
        assert codes.shape == (-(-len(sound) // 1920), CODEBOOKS)


def test_codes_are_those_of_the_stock_codec_if_the_sound_is_whole_frames(base: Base):
    sound = recording(0.8)[: 20 * 1920]
    with torch.no_grad():
        stock = base.model().codec_model.eval().encode(torch.from_numpy(sound)[None, None]).audio_codes[0].T
    ours = Encoder(base.folder, device=torch.device("cpu")).encode([sound])[0]
    # nearest of random codebooks: rounding decides a few
    assert (ours == stock.numpy()).mean() > 0.98


def test_codes_of_another_codec_have_another_name(base: Base, tmp_path: Path):
    other = write_base(tmp_path, seed=5).folder
    names = {Encoder(folder, device=torch.device("cpu")).fingerprint for folder in (base.folder, other)}
    assert len(names) == 2


def test_a_frame_of_zeros_reads_as_the_end_whatever_its_last_code():
    codes = np.ones((5, 8), np.int16)
    assert not read_as_end(codes)
    codes[3, :-1] = 0
    assert read_as_end(codes)


def test_clips_whose_codes_read_as_the_end_are_rejected(tmp_path: Path):
    folder = write_base(tmp_path / "base").folder
    tensors = load_file(folder / "model.safetensors")
    for name, tensor in tensors.items():
        if name.endswith("embed_sum"):  # what a codec of initial weights is like: every sound is code 0
            tensor.zero_()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    for number in range(2):
        write(tmp_path / f"corpus/wavs/{number}.wav", recording(2, seed=number))
    (tmp_path / "corpus/metadata.csv").write_text("0|Bu gün hava gözəldir\n1|Sabah da belə olacaq\n", "utf-8")
    settings = PrepareSettings(corpus=tmp_path / "corpus", output=tmp_path / "out", codec=str(folder), workers=1)
    settings = settings.model_copy(update={"trim": settings.trim.model_copy(update={"vad": "energy"})})
    with pytest.raises(CorpusError, match="no clip is left"):
        prepare(settings, Console(quiet=True))
    assert not list(read_manifest(tmp_path / "out"))
    assert (tmp_path / "out/rejected.jsonl").read_text(encoding="utf-8").count(Reason.CODES_READ_AS_END) == 2


def test_a_folder_that_is_no_corpus_leaves_no_prepared_folder_behind(tmp_path: Path, base: Base):
    settings = PrepareSettings(corpus=tmp_path / "none", output=tmp_path / "out", codec=str(base.folder), workers=1)
    with pytest.raises(CorpusError, match="is no folder"):
        prepare(settings, Console(quiet=True))
    assert not (tmp_path / "out/prepared.json").exists()
