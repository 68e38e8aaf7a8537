"""Whether the bot said what a scenario expects, from what it told the caller's page (docs/page-protocol.md)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bot.flows.testing import Expectation


@dataclass(frozen=True, slots=True)
class Told:
    """A message of the page that the expectations are about; texts are personal."""

    at_s: float  # media time
    kind: Literal["text", "state", "ended"]
    value: str


_KINDS: dict[str, tuple[Literal["text", "state", "ended"], str]] = {
    "turn.bot": ("text", "text"),
    "flow.state": ("state", "state"),
    "call.ended": ("ended", "cause"),
}


def told(message: str, *, now: float) -> Told | None:
    """Read a message; None for one that says nothing of what is expected."""
    try:
        body = json.loads(message)
    except ValueError:
        return None
    if not isinstance(body, dict) or body.get("type") not in _KINDS:
        return None
    kind, field = _KINDS[body["type"]]
    return Told(now, kind, str(body.get(field, "")))


def unmet(expected: Sequence[Expectation], heard: Sequence[Told], *, since_s: float, until_s: float) -> str | None:
    """Name the first expectation that does not hold between two moments; "" where all do, None where nothing was told.

    `slots` are not judged: pages are told masked ones. `ended` is judged by whether the call ended.
    """
    if not heard:
        return None
    now = [one for one in heard if since_s <= one.at_s < until_s]
    text = " ".join(one.value for one in now if one.kind == "text")
    states = [one.value for one in now if one.kind == "state"]
    for one in expected:
        checks = (
            (one.text_contains is not None and one.text_contains not in text, f"text_contains: {one.text_contains}"),
            (one.text_excludes is not None and one.text_excludes in text, f"text_excludes: {one.text_excludes}"),
            (one.state is not None and states[-1:] != [one.state], f"state: {one.state}, not {states[-1:]}"),
            (bool(set(one.visited) - set(states)), f"visited: {', '.join(one.visited)}"),
            (one.ended is not None and not any(message.kind == "ended" for message in now), "ended"),
        )
        for wrong, name in checks:
            if wrong:
                return name
    return ""
