"""The JSON schema of flow files, published as `flow.schema.json` for editors."""

from __future__ import annotations

import json

from bot.flows.flow import Flow

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_text() -> str:
    """Give the schema as it is published."""
    schema = {"$schema": _DIALECT, **Flow.model_json_schema(by_alias=True)}
    return json.dumps(schema, ensure_ascii=False, indent=1) + "\n"
