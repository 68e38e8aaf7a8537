"""What is wrong with a flow file: where, what, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from bot.errors import FlowError


class Severity(Enum):
    """An error keeps the flow from being served; a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake. `path` leads to it in the document; `line` counts from 1, 0 is unknown."""

    code: str
    message: str
    remedy: str
    path: tuple[str | int, ...] = ()
    severity: Severity = Severity.ERROR
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.file else ""
        return f"{place}{self.severity.value}: {self.message} ({self.code}). {self.remedy}"


class FlowFileError(FlowError):
    """A flow file cannot be used; `problems` has everything that was found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)
