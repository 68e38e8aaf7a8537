"""Flows by name: those that ship, or a file."""

from __future__ import annotations

from pathlib import Path

from bot.errors import FlowError
from bot.flows.loader import LIBRARY

_ENDING = ".flow.yaml"


def flow_path(name: str | Path) -> Path:
    """Find a flow: the name of one that ships, or a file; raises `FlowError` for a name that is neither.

    A path that leads to no file is left to whoever reads it.
    """
    shipped, path = LIBRARY / f"{name}{_ENDING}", Path(name)
    if path.name == str(name) and shipped.is_file():
        return shipped
    if path.name == str(name) and not path.suffix and not path.exists():
        raise FlowError(f"there is no flow {str(name)!r}: give a file, or one that ships: {', '.join(names())}")
    return path


def names() -> list[str]:
    """The flows that ship."""
    return sorted(path.name.removesuffix(_ENDING) for path in LIBRARY.glob(f"*{_ENDING}"))
