"""Values that a flow's variables are given from outside: on a command line, or with a call to be placed."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bot.errors import FlowError
from bot.flows.flow import Flow


def pairs_of(written: Sequence[str]) -> dict[str, str]:
    """Read NAME=VALUE; raises `ValueError` for what is none."""
    pairs: dict[str, str] = {}
    for text in written:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise ValueError(f"--variable {text}: write NAME=VALUE")
        pairs[name.strip()] = value
    return pairs


def check_declared(flow: Flow, names: Collection[str]) -> None:
    """Raise `FlowError` for names that the flow does not declare: their values would be lost in silence."""
    unknown = sorted(set(names) - set(flow.variables))
    if unknown:
        declared = ", ".join(flow.variables) or "none"
        raise FlowError(f"the flow {flow.id} has no variable {', '.join(unknown)}; it declares: {declared}")
