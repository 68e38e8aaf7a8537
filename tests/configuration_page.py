"""docs/configuration.md from the settings' own models: `python -m tests.configuration_page` writes it."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr

from bot.settings import Settings

PAGE = Path(__file__).parents[1] / "docs" / "configuration.md"
_HEAD = """\
# Configuration

One TOML file, overridden by the environment: `[web] port` is `ZENG_WEB__PORT`, with two underscores between section
and name, and `[tts.csm] device` is `ZENG_TTS__CSM__DEVICE`. Lists are written there as JSON:
`ZENG_SIP__ALLOWED_SOURCES='["10.0.0.0/8"]'`. `--config` names the file (`zeng serve`, `demo`, `dial`, `tts`), else
`ZENG_CONFIG` does; commands without `--config` (`zeng chat`, `doctor`, `models`, `stt`) take that one. Unknown names
are refused, in the file and in the environment: a variable that is like a setting (`ZENG_SIP_PORT`) stops the start
with the name that was meant. Every setting has a default; `zeng demo` runs with none set. This page is written from
the code by `python -m tests.configuration_page`.
"""


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for name, field in Settings.model_fields.items():
        assert isinstance(field.annotation, type)
        parts += _section(name, field.annotation)
    return "\n".join(parts).rstrip() + "\n"


def _section(title: str, model: type[BaseModel], prefix: str = "") -> list[str]:
    comments = {
        name: "; ".join(filter(None, (_choice(model.model_fields[name].annotation), comment)))
        for name, comment in {**dict.fromkeys(model.model_fields, ""), **_comments(model)}.items()
        if name in model.model_fields
    }
    lines = [f"## `[{title}]`", "", (model.__doc__ or "").strip().splitlines()[0], ""]
    lines += ["| name | default | |", "|---|---|---|"]
    nested: list[str] = []
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            nested += _section(f"{title}.{name}", field.annotation, f"{prefix}{name}.")
            continue
        if (table := _table_of(field.annotation)) is not None:
            nested += _section(f"[{title}.{name}]", table, f"{prefix}{name}.")
            continue
        if field.is_required():
            lines.append(f"| `{prefix}{name}` | must be set | {comments.get(name, '')} |")
            continue
        default = field.get_default(call_default_factory=True)
        shown = default.get_secret_value() if isinstance(default, SecretStr) else default
        lines.append(f"| `{prefix}{name}` | `{json.dumps(shown, default=str)}` | {comments.get(name, '')} |")
    return [*lines, "", *nested]


def _table_of(annotation: object) -> type[BaseModel] | None:
    """Give the model of an array of tables; None for any other setting."""
    inner = next(iter(get_args(annotation)), None)
    return inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None


def _choice(annotation: object) -> str:
    """Give the values that a setting, or each item of its list, is one of; empty where there is no such list."""
    if get_origin(annotation) is Literal:
        *most, last = (f"`{json.dumps(value)}`" for value in get_args(annotation))
        return f"{', '.join(most)} or {last}" if most else last
    return next(filter(None, map(_choice, get_args(annotation))), "")


def _comments(model: type[BaseModel]) -> dict[str, str]:
    matches = re.finditer(r"^\s+(\w+): .*?  # (.*)$", inspect.getsource(model), re.MULTILINE)
    return {match[1]: match[2] for match in matches}


if __name__ == "__main__":
    PAGE.write_text(page())
