from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from bot.models.settings import ModelSettings


def test_the_cache_is_the_users_unless_it_is_set():
    assert ModelSettings().folder.parts[-2:] == ("zeng", "models")
    assert ModelSettings(cache_dir=Path("/srv/models")).folder == Path("/srv/models")


def test_unknown_names_are_refused():
    with pytest.raises(ValidationError, match="cache"):
        ModelSettings.model_validate({"cache": "/srv"})
