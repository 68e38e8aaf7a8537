"""`CallTable`: the calls of one user agent, what each is found by, and when it is due."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from telephony.sip.dialog import DialogId
from telephony.sip.inbound_call import InboundCall
from telephony.sip.outbound_call import OutboundCall
from telephony.sip.timers import Schedule
from telephony.sip.transactions import ServerKey

Call: TypeAlias = InboundCall | OutboundCall


class CallTable:
    """Calls by handle; also by their dialogs, and inbound ones by the transaction of their INVITE."""

    def __init__(self) -> None:
        self._calls: dict[str, Call] = {}
        self._invites: dict[ServerKey, str] = {}
        self._dialogs: dict[DialogId, str] = {}
        self._named: dict[str, tuple[DialogId, ...]] = {}  # the dialogs of each call, as last noted
        self._schedule: Schedule[str] = Schedule()

    def __len__(self) -> int:
        """Count the calls, those being closed included."""
        return len(self._calls)

    def __iter__(self) -> Iterator[Call]:
        """Go through all calls."""
        return iter(list(self._calls.values()))

    def get(self, handle: str) -> Call | None:
        """Find a call by its handle."""
        return self._calls.get(handle)

    def of_invite(self, key: ServerKey) -> tuple[str, InboundCall] | None:
        """Find the inbound call that an INVITE began, with its handle."""
        handle = self._invites.get(key)
        call = None if handle is None else self._calls.get(handle)
        return (handle, call) if handle is not None and isinstance(call, InboundCall) else None

    def of_dialog(self, dialog: DialogId) -> tuple[str, Call] | None:
        """Find the call that a dialog belongs to, with its handle."""
        handle = self._dialogs.get(dialog)
        return None if handle is None else (handle, self._calls[handle])

    def put(self, handle: str, call: Call) -> None:
        """Add a call, or let one take the place of another under the same handle."""
        if (before := self._calls.get(handle)) is not None:
            self._unname(handle, before)
        self._calls[handle] = call
        self._name(handle, call)

    def _name(self, handle: str, call: Call) -> None:
        if (ids := call.dialog_ids) != self._named.get(handle, ()):
            # An INVITE that is sent anew leaves the early dialogs of the one before behind.
            self._forget_dialogs(handle)
            self._named[handle] = ids
            self._dialogs.update(dict.fromkeys(ids, handle))
        if isinstance(call, InboundCall):
            self._invites[call.key] = handle

    def _unname(self, handle: str, call: Call) -> None:
        self._forget_dialogs(handle)
        if isinstance(call, InboundCall):
            self._invites.pop(call.key, None)

    def _forget_dialogs(self, handle: str) -> None:
        for dialog in self._named.pop(handle, ()):
            self._dialogs.pop(dialog, None)

    def settle(self, handle: str) -> Call | None:
        """Note a call's next timer and its dialogs; take it out, and give it back, once it is over."""
        call = self._calls.get(handle)
        if call is None:
            return None
        if not call.finished:
            self._name(handle, call)
            self._schedule.set(handle, call.timer_at())
            return None
        self._schedule.set(handle, None)
        self._unname(handle, self._calls.pop(handle))
        return call

    def timer_at(self) -> float | None:
        """When the first call is due."""
        return self._schedule.next_at()

    def pop_due(self, now: float) -> tuple[str, Call] | None:
        """Take the first call that is due, with its handle."""
        handle = self._schedule.pop_due(now)
        return None if handle is None else (handle, self._calls[handle])
