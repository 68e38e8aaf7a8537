from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from finetune.data.audio import Samples
from finetune.data.manifest import read_manifest, write_manifest
from finetune.evaluation.evaluate import Measured, Plan, _summary, evaluate, learnt_voice, read_evaluation
from finetune.training.servable import Servable, digest
from tests.unit.finetune.data.sounds import speech, write
from tests.unit.finetune.prepared import write_prepared_folder
from tests.unit.finetune.tiny import Base


def test_the_voice_that_is_evaluated_is_one_that_was_learnt(tmp_path: Path):
    data = write_prepared_folder(tmp_path / "data")
    # voice 0 is a caller's, which is only heard; voice 1 is held out
    places = [(1, True)] * 3 + [(0, False)] * 5 + [(2, True), (3, True), (2, True), (2, True)]
    entries = [
        replace(entry, voice=voice, clip=replace(entry.clip, target=target))
        for entry, (voice, target) in zip(read_manifest(data), places, strict=True)
    ]
    write_manifest(data, entries)
    assert learnt_voice(data) == 2


def test_a_checkpoint_is_measured_with_the_floors_of_the_recogniser(base: Base, tmp_path: Path):
    data = write_prepared_folder(tmp_path / "data")
    for number in range(6):  # three that are held out, three that training has heard
        write(data / f"clips/c{number}.flac", speech(1.0, seed=number))
    heard: list[int] = []

    def recognise(samples: Samples) -> str:
        heard.append(len(samples))
        return "salam"

    plan = Plan(("Salam.", "Bəli, oldu."), voice=0, seeds=2, limit_s=0.8, recognise=recognise)
    found = evaluate(Servable(base.folder, None), data, plan, tmp_path / "out")
    assert read_evaluation(tmp_path / "out") == found
    assert found.weights == digest(base.folder)
    assert found.summary["stop_rate"] == sum(one.stopped for one in found.measured) / 4
    assert len(found.measured) == 4
    assert {one.error_rate == 0.0 for one in found.measured if one.text == "Salam."} == {True}
    # four said, three recordings of one second, three resynthesised
    assert len(heard) == 10
    assert heard.count(24_000) >= 3
    assert found.summary["error_rate_of_recordings"] == found.summary["error_rate_of_codec"]
    # what hears is installed here, and is given recordings too, which no voice can beat
    taken = {"mos", "mos_of_recordings", "mos_of_codec", "speaker_similarity_of_recordings"}
    assert taken <= found.summary.keys()
    assert 0.5 < found.summary["speaker_similarity_of_recordings"] <= 1.0
    assert found.summary["mel_cepstral_distortion"] > 0.0
    # untrained, a codebook is as good as a die of 67 sides
    assert len(found.perplexities) == 8
    assert all(value == pytest.approx(67, rel=0.2) for value in found.perplexities)
    assert (tmp_path / "out" / found.measured[0].file).exists()


def test_sums_are_those_of_the_sentences():
    said = Measured("a", 0, "a", True, 1.2, 1.0, 0.1, 0.2, 0.3, 0.2, 2, error_rate=0.1)
    cut = Measured("b", 0, "b", False, 6.0, 2.0, 0.3, 1.0, 0.5, 0.6, 14, error_rate=0.7)
    long = replace(said, text="c", seconds=1.0)
    found = _summary([said, cut, long])
    assert found == pytest.approx(
        {
            "stop_rate": 2 / 3, "duration_ratio": 1.2, "duration_within_half_and_double": 2 / 3, "lead_s": 0.5 / 3,
            "tail_s": 1.4 / 3, "inner_s": 1.1 / 3, "silent_share": 1 / 3, "stuck_frames": 14.0, "error_rate": 0.3,
        }
    )  # fmt: skip
