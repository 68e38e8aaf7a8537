"""YAML as flow files use it: YAML 1.2 scalars, no duplicate keys, no aliases, and the line of every value.

YAML 1.1 reads `on:` and `no` as booleans, `012` as ten, `14:35` as 875 and 2026-11-22 as a date. Here only
`true`, `false`, `null` and plain decimal numbers are not text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import yaml

from bot.flows.problems import FlowFileError, Problem

Path: TypeAlias = tuple[str | int, ...]
Value: TypeAlias = "str | int | float | bool | list[Value] | dict[str, Value] | None"

MAX_BYTES = 1 << 20
_MAX_DEPTH = 24
_OPENING = (
    yaml.BlockMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.FlowSequenceStartToken,
)
_CLOSING = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)
_INTEGER = re.compile(r"-?(?:0|[1-9]\d{0,17})")
_FLOAT = re.compile(r"-?(?:0|[1-9]\d{0,17})\.\d{1,17}")
_WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file: its data, and the line (from 1) on which each value or key stands."""

    data: dict[str, Value]
    lines: Mapping[Path, int]
    file: str

    def line_of(self, path: Path) -> int:
        """Find the line of a value, or of the nearest part of the document that holds it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def parse_document(text: str, *, file: str) -> Document:
    """Parse one YAML mapping; what the format does not allow raises `FlowFileError` with its line."""
    if len(text.encode()) > MAX_BYTES:
        raise _error("too-large", f"the file is larger than {MAX_BYTES} bytes", "Split the flow.", file, 1)
    try:
        _check_tokens(text, file)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise _error(
            "yaml",
            f"not YAML: {error.problem}",
            "Check the indentation, and put texts with ? : , # or { into quotes.",
            file,
            line,
        ) from None
    except yaml.YAMLError as error:
        raise _error("yaml", f"not YAML: {error}", "Remove the character.", file, 1) from None
    builder = _Builder(file)
    data = builder.build(root, ()) if root is not None else None
    if not isinstance(data, dict):
        raise _error("not-a-mapping", "the file is no mapping", "Begin with `version: 1`.", file, 1)
    return Document(data, builder.lines, file)


def _error(code: str, message: str, remedy: str, file: str, line: int) -> FlowFileError:
    return FlowFileError([Problem(code, message, remedy, file=file, line=line)])


def _check_tokens(text: str, file: str) -> None:
    """Refuse aliases and tags, and depth before the composer recurses into it."""
    depth = 0
    for token in yaml.scan(text):
        line = token.start_mark.line + 1
        if isinstance(token, (yaml.AnchorToken, yaml.AliasToken, yaml.TagToken)):
            what = "anchors, aliases and tags are not part of the format"
            raise _error("alias", what, "Write the value out.", file, line)
        depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
        if depth > _MAX_DEPTH:
            raise _error("too-deep", f"nested deeper than {_MAX_DEPTH}", "Flatten the file.", file, line)


class _Builder:
    """Turns composed nodes into values and notes their lines."""

    def __init__(self, file: str) -> None:
        self.lines: dict[Path, int] = {}
        self._file = file

    def build(self, node: yaml.Node, path: Path) -> Value:
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return node.value if node.style else _plain_scalar(node.value)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = key_node.value
            if not isinstance(key, str):
                raise _error("key", "a key is no text", "Use a plain name as the key.", self._file, line)
            if key in found:
                raise _error(
                    "duplicate-key", f"the key {key!r} is given twice", "Remove one of the two.", self._file, line
                )
            self.lines[(*path, key)] = line
            found[key] = self.build(value_node, (*path, key))
        return found


def _plain_scalar(text: str) -> str | int | float | bool | None:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
