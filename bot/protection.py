"""`Protection`: speech that may not be interrupted protects itself alone. Sans-I/O.

A flow says its disclosure and its first question in one breath. What comes after protected speech is held back until
that has been played, so that it can be interrupted and the disclosure cannot.
"""

from __future__ import annotations

from collections import deque

from bot.flows.actions import FlowAction, HangUp, Say, Transfer


class Protection:
    """Told what is said and played; gives back what had to wait."""

    def __init__(self) -> None:
        self._mark: int | None = None  # after the protected speech, until it is reached
        self._held: deque[FlowAction] = deque()

    @property
    def says_more(self) -> bool:
        """Whether speech is among what waits."""
        return any(isinstance(action, Say) for action in self._held)

    def said(self, action: Say, mark: int) -> None:
        """Something is being said; `mark` is reached when it has been played."""
        if not action.interruptible:
            self._mark = mark

    def reached(self, mark: object) -> None:
        """Everything before a mark has been played."""
        if mark == self._mark:
            self._mark = None

    def hold(self, action: FlowAction) -> bool:
        """Keep an action back if it must wait: a prompt that may be interrupted, or the end of the call."""
        if self._mark is None or not isinstance(action, (Say, HangUp, Transfer)):
            return False
        waits = bool(self._held) or not isinstance(action, Say) or action.interruptible
        if waits:
            self._held.append(action)
        return waits

    def release(self) -> FlowAction | None:
        """Give the next that has waited long enough."""
        return self._held.popleft() if self._held and self._mark is None else None

    def key_pressed(self) -> None:
        """Drop the prompts that wait: who presses a key has heard enough of them."""
        self._held = deque(action for action in self._held if not isinstance(action, Say))

    def cut(self) -> None:
        """All sound was played or dropped."""
        self._mark = None
