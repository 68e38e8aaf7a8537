from __future__ import annotations

from pathlib import Path

import numpy as np

from bot.loadtest.alignment import Reference
from bot.loadtest.references import References, load_references, write_wav
from tests.fakes.talking_bot import speech

HOURS, ADDRESS = speech(2.0, seed=1), speech(2.0, seed=2)


def padded(samples: np.ndarray) -> np.ndarray:
    return np.concatenate([samples, np.zeros(8000, np.int16)])


def test_an_answer_is_laid_along_the_source_of_its_name_or_the_one_that_fits() -> None:
    known = References([Reference("hours", HOURS), Reference("address", ADDRESS)])

    for name in ("address", "hours", "never heard of"):
        matched = known.match(name, padded(ADDRESS))
        assert matched is not None
        assert matched[0].name == "address"
    assert known.match("hours", speech(2.0, seed=3)) is None


def test_a_folder_of_wavs_is_a_set_of_sources_with_their_words(tmp_path: Path) -> None:
    write_wav(tmp_path / "hours.wav", HOURS)
    (tmp_path / "hours.txt").write_text("saat doqquzdan altıya", encoding="utf-8")

    matched = load_references(tmp_path).match("x", padded(HOURS))

    assert matched is not None
    assert (matched[1].words_right, matched[1].words) == (3, 3)
