"""What the terminal shows while a test runs."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from bot.loadtest.generator import Progress
from bot.loadtest.markdown import row
from bot.loadtest.results import StageRecord
from bot.loadtest.shapes import Stage

_SHOWN = {0: "load", 1: "turns", 2: "p50 ms", 4: "p95", 7: "keys p95", 11: "missed", 12: "gaps", 13: "MOS", 14: "PESQ",
          15: "failed", 16: "CPU", 17: "promises"}  # fmt: skip  # within 80 columns
_HELD = {"held": "green", "broken": "red", "INVALID": "bold red"}


class LiveView:
    """A table that grows by a row a stage, and a line of the stage under way."""

    def __init__(self, console: Console) -> None:
        self._done: list[StageRecord] = []
        self._now = "starting"
        self._console = console
        self._live = Live(self._table(), console=console, refresh_per_second=2)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._now = ""
        self._live.update(self._table())
        self._live.__exit__(kind, error, trace)
        if not self._console.is_terminal:
            self._console.print()  # the table came without its last line end

    def progress(self, stage: Stage, seconds: float, parts: Sequence[Progress]) -> None:
        """A generator has told how it does."""
        active, answered = sum(one.active for one in parts), sum(one.answered for one in parts)
        failed, turns = sum(one.failed for one in parts), sum(one.turns for one in parts)
        self._now = (
            f"{stage.name}: {min(seconds, stage.hold_s):.0f} of {stage.hold_s:.0f} s, {active} calls now,"
            f" {answered} answered and {failed} failed so far, {turns} turns"
        )
        self._live.update(self._table())

    def stage(self, record: StageRecord) -> None:
        """A stage is over and measured."""
        self._done.append(record)
        self._now = ""
        self._live.update(self._table())

    def _table(self) -> Table:
        table = Table(box=None, padding=(0, 1, 0, 0), caption=self._now, caption_justify="left", header_style="bold")
        for index, name in _SHOWN.items():
            table.add_column(name, justify="left" if index == 0 else "right", no_wrap=index > 0)
        for record in self._done:
            cells = [row(record)[index].replace(" %", "%") for index in _SHOWN]
            cells[-1] = f"[{_HELD[cells[-1]]}]{cells[-1]}"
            table.add_row(*cells)
        return table
