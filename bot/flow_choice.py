"""`FlowChoice`: which flow a call runs: the one of the settings, or the one that a placed call was given by name."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path

from bot.errors import SettingsError
from bot.flows.flow import Flow
from bot.flows.live import LiveFlow
from bot.flows.loader import LIBRARY
from bot.flows.shipped import names

VARIABLE = "flow"
"""The call variable that names it; no telephone can set that."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class FlowChoice:
    """Flows by name: those that ship, and those beside the file of the settings.

    One is read when it is first asked for, which takes a twentieth of a second: not in the loop of the calls, and once
    for all who ask meanwhile.
    """

    def __init__(self, path: Path, live: LiveFlow) -> None:
        self._path = path
        self._live = live
        self._others: dict[str, LiveFlow] = {}
        self._reading = asyncio.Lock()
        self._told = 0  # how many of them `refresh` has told of

    @property
    def flows(self) -> tuple[Flow, ...]:
        """All that have been asked for, as they are for new calls; the one of the settings first."""
        return tuple(live.current() for live in (self._live, *self._others.values()))

    async def of(self, variables: Mapping[str, str]) -> LiveFlow:
        """Give the flow of a call; raises `BotError` for a name that leads to none, or to one that is not sound."""
        name = variables.get(VARIABLE, "")
        if not name:
            return self._live
        if name not in self._others:
            async with self._reading:
                if name not in self._others:
                    self._others[name] = await asyncio.to_thread(lambda: LiveFlow(self._find(name)))
        return self._others[name]

    def refresh(self) -> bool:
        """Read anew what was edited, of all the flows that were asked for; not in an event loop that carries calls.

        Tells whether `flows` has changed since it was last called.
        """
        others = tuple(self._others.values())
        told, self._told = self._told, len(others)
        edited = [live.refresh() for live in (self._live, *others)]
        return told < len(others) or any(edited)

    def _find(self, name: str) -> Path:
        if _NAME.fullmatch(name):
            for folder in (self._path.parent, LIBRARY):
                if (file := folder / f"{name}.flow.yaml").is_file():
                    return file
        raise SettingsError(
            f"there is no flow {name[:64]!r} beside {self._path.name}, nor does it ship; these do: {', '.join(names())}"
        )
