"""Digits as they are keyed in, until they make an entry."""

from __future__ import annotations

from dataclasses import dataclass

from bot.flows.slots import Keypad

_ERASE = "*"
_LATE_FINISH_S = 3.0  # a finish key so soon after an entry that `max` completed belongs to it


@dataclass(frozen=True, slots=True)
class Entered:
    """A whole entry: the digits, or None when there were too few."""

    digits: str | None


class KeypadEntry:
    """One entry at a time. `*` erases, unless it finishes or is a decimal point."""

    def __init__(self) -> None:
        self._digits = ""
        self._completed_at: float | None = None
        self._finish = ""

    @property
    def is_empty(self) -> bool:
        return not self._digits

    def press(self, key: str, keypad: Keypad, *, decimal: bool, now: float) -> Entered | None:
        """Take a key; gives the entry when it is whole."""
        if key == keypad.finish:
            return self.close(keypad)
        if key == _ERASE and not decimal:
            self._digits = ""
            return None
        if key == "#":
            return None
        self._digits += key
        if len(self._digits) < keypad.max:
            return None
        entered = self.close(keypad)
        self._completed_at, self._finish = now, keypad.finish
        return entered

    def close(self, keypad: Keypad) -> Entered:
        """End the entry: at the finish key, or when no further key came in time."""
        digits = self._digits if len(self._digits) >= keypad.min else None
        self.clear()
        return Entered(digits)

    def is_late_finish(self, key: str, *, now: float) -> bool:
        """Tell whether a key only finishes an entry that was whole already; true once."""
        completed_at, self._completed_at = self._completed_at, None
        return completed_at is not None and bool(key) and key == self._finish and now - completed_at <= _LATE_FINISH_S

    def clear(self) -> None:
        self._digits = ""
