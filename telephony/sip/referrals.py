"""`Referrals`: calls of ours that go on with somebody else, because the far end asked for it by REFER.

The call to the target stands beside the old one, under a handle of its own, until it is answered. From then on it goes
by the handle of the old one: the user's call goes on, and only its far end has changed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from telephony.leg import EndCause
from telephony.sip.events import (
    CallEnded,
    CallEvent,
    CallOffered,
    CallRedirected,
    CallRinging,
    MediaAgreed,
    ServerFailed,
)


@dataclass(frozen=True, slots=True)
class Progressed:
    """The target answered 1xx, or did not take the call: whoever asked is to be told."""

    handle: str
    status: int


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The target has answered: the call `before` is to be left."""

    handle: str
    before: str
    agreed: MediaAgreed


@dataclass(frozen=True, slots=True)
class Abandoned:
    """The user's call is over, so the target is to be called no more."""

    inner: str


Step: TypeAlias = Progressed | Succeeded | Abandoned


@dataclass(slots=True)
class _Running:
    handle: str
    give_up_at: float
    ended: CallEnded | None = None  # whoever asked has hung up since; told when the target does not answer


class Referrals:
    """Stands between calls and their user. Handles of the user's are outer ones, those of single calls inner ones."""

    def __init__(self, put: Callable[[CallOffered | CallEvent], None]) -> None:
        self._put = put
        self._running: dict[str, _Running] = {}  # by inner handle
        self._targets: dict[str, str] = {}  # the inner handle of what runs, by outer one
        self._inner: dict[str, str] = {}  # of calls that have gone on with somebody else
        self._outer: dict[str, str] = {}
        self._steps: deque[Step] = deque()

    def inner(self, handle: str) -> str:
        """Give the call that an outer handle means."""
        return self._inner.get(handle, handle)

    def outer(self, handle: str) -> str:
        """Give the handle that the user knows a call by."""
        return self._outer.get(handle, handle)

    def begin(self, inner: str, handle: str, *, give_up_at: float) -> None:
        """Note that the target of a REFER in `handle` is called by `inner`."""
        self._running[inner] = _Running(handle, give_up_at)
        self._targets[handle] = inner

    def emit(self, event: CallOffered | CallEvent) -> None:
        """Take what a call says."""
        if (running := self._running.get(event.handle)) is not None:
            self._take(event, running)
            return
        outer = self._outer.get(event.handle)
        named = event if outer is None else replace(event, handle=outer)
        target = self._targets.get(named.handle)
        if isinstance(named, CallEnded) and target is not None:
            if named.cause is EndCause.CALLER_HUNG_UP:
                # Many hang up as soon as their REFER is accepted: the call goes on, if its target answers.
                self._running[target].ended = named
                return
            self._steps.append(Abandoned(target))
        self._put(named)

    def _take(self, event: CallOffered | CallEvent, running: _Running) -> None:
        inner, handle = event.handle, running.handle
        match event:
            case CallRinging(status=status):
                self._steps.append(Progressed(handle, status))
            case MediaAgreed(early=False):
                self._stop(inner, handle)
                before = self.inner(handle)
                self._outer.pop(before, None)
                self._inner[handle], self._outer[inner] = inner, handle
                self._steps.append(Succeeded(handle, before, replace(event, handle=handle)))
            case CallEnded(status=status):
                self._stop(inner, handle)
                self._steps.append(Progressed(handle, status or 408))
                if running.ended is not None:
                    self._put(running.ended)
            case CallRedirected() | ServerFailed():
                self._put(event)
            case _:
                pass  # early media: it is the old far end that is listened to

    def _stop(self, inner: str, handle: str) -> None:
        del self._running[inner], self._targets[handle]

    def hang_up(self, handle: str, cause: EndCause, detail: str) -> None:
        """End the user's call whose far end has hung up already, while its target is being called."""
        running = self._running.get(self._targets.get(handle, ""))
        if running is not None and running.ended is not None:
            running.ended = None
            self._steps.append(Abandoned(self._targets[handle]))
            self._put(CallEnded(handle, cause, detail))

    def forget(self, inner: str) -> None:
        """Note that nothing is left of a call."""
        handle = self._outer.pop(inner, None)
        if handle is not None:
            del self._inner[handle]

    def poll(self) -> Step | None:
        """What is to be done next."""
        return self._steps.popleft() if self._steps else None

    def timer_at(self) -> float | None:
        """When `handle_timer` is due."""
        return min((running.give_up_at for running in self._running.values()), default=None)

    def handle_timer(self, *, now: float) -> None:
        """Let time pass: a target that rings for too long is called no more."""
        for inner, running in self._running.items():
            if now >= running.give_up_at:
                running.give_up_at = float("inf")
                self._steps.append(Abandoned(inner))
