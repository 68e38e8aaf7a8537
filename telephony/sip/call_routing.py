"""Where the edge sends a message: to the worker that has the call, to one that has room, or back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from telephony.sip.call_id_table import Binding, CallIdTable
from telephony.sip.message import Message, Request, Response

PickWorker: TypeAlias = Callable[[], int | None]
"""Names the worker with the most free places; None when none has one."""


@dataclass(frozen=True, slots=True)
class Forward:
    """Give it to this worker."""

    worker: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer it from here, without keeping state."""

    status: int


@dataclass(frozen=True, slots=True)
class Drop:
    """Say nothing."""


Routing: TypeAlias = Forward | Refuse | Drop


def route(message: Message, table: CallIdTable, pick_worker: PickWorker, *, now: float) -> Routing:
    """Decide; a new call is bound to the worker that gets it."""
    table.expire(now=now)
    binding = table.find(message.call_id, now=now)
    match message:
        case Response():
            return Drop() if binding is None or binding.worker is None else Forward(binding.worker)
        case Request() if binding is not None and binding.worker is not None:
            return Forward(binding.worker)
        case Request(method="ACK"):
            return Drop()
        case Request() if message.to.tag or message.method == "CANCEL":
            return Refuse(481)
        case _:
            # A caller that was told 503 must not get an answer when it repeats itself; it may try anew.
            cseq = message.cseq.number
            refused = binding is not None and binding.refused_cseq == cseq
            replaced = None if refused else _replaced(message, table, now)
            worker = replaced if refused or replaced is not None else pick_worker()
            table.bind(message.call_id, Binding(worker, cseq if worker is None else None), now=now)
            return Refuse(503) if worker is None else Forward(worker)


def _replaced(invite: Request, table: CallIdTable, now: float) -> int | None:
    """Find the worker that has the call which an INVITE is to take the place of (RFC 3891)."""
    call_id = (invite.headers.first("Replaces") or "").partition(";")[0].strip()
    binding = table.find(call_id, now=now) if call_id else None
    return None if binding is None else binding.worker
