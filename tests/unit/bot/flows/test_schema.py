from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from bot.flows.loader import LIBRARY
from bot.flows.schema import schema_text
from bot.flows.source import parse_document

_PUBLISHED = LIBRARY.parent / "flow.schema.json"
_FLOWS = sorted(LIBRARY.glob("*.flow.yaml"))
_VALIDATOR = jsonschema.Draft202012Validator(json.loads(schema_text()))


def test_the_published_schema_is_current() -> None:
    """Run `zeng flow schema > bot/flows/flow.schema.json` when this fails."""
    assert _PUBLISHED.read_text(encoding="utf-8") == schema_text()


@pytest.mark.parametrize("path", _FLOWS, ids=lambda path: path.name)
def test_the_flows_of_the_library_are_valid_by_the_schema(path: Path) -> None:
    data = parse_document(path.read_text(encoding="utf-8"), file=path.name).data
    assert list(_VALIDATOR.iter_errors(data)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"states": {}},
        {"states": {"a": {"menu": []}}},
        {"engine": "magic"},
        {"unknown": 1},
        {"id": "Ə"},
    ],
)
def test_what_is_no_flow_is_refused_by_the_schema(change: dict[str, object]) -> None:
    data = parse_document(_FLOWS[0].read_text(encoding="utf-8"), file="f").data
    assert not _VALIDATOR.is_valid({**data, **change})
