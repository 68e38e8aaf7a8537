from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from bot.flows.fields import Condition, Key, Said, Text


class _Fields(BaseModel):
    text: Text
    condition: Condition
    said: Said
    key: Key


_WRITTEN = {"text": "Salam {{ name }}", "condition": "open()", "said": "iş saatları", "key": 5}


def test_fields_are_parsed_and_written_back_as_they_were() -> None:
    fields = _Fields.model_validate(_WRITTEN)
    assert fields.text.names() == {"name"}
    assert fields.model_dump() == {**_WRITTEN, "key": "5"}


@pytest.mark.parametrize(
    "change",
    [{"text": 5}, {"text": None}, {"condition": True}, {"said": ["a"]}, {"said": "!"}, {"key": "12"}, {"key": True}],
)
def test_what_is_no_text_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        _Fields.model_validate({**_WRITTEN, **change})
