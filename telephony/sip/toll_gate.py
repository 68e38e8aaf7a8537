"""`TollGate`: holds the calls that leave by the public sockets to a `TollGuard`, whoever of the workers places them.

It stands at the edge because the caps are for the whole service. A call is judged by its INVITE, and so is whom a REFER
of ours sends the far end to; both before a byte leaves.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from telephony.errors import SipParseError
from telephony.sip.message import Message, Request, Response, addresses, build_message, parse_message
from telephony.sip.responses import refuse_malformed, stateless_response
from telephony.sip.toll_guard import Allowed, Refused, TollGuard, Verdict, Why

_MAX_CALLS = 10_000
_EARLY_S = 2.0  # a BYE takes its time, and carriers count minutes that have begun


@dataclass(slots=True)
class _Call:
    ticket: int
    target: str
    within_s: float
    answered_at: float | None = None


class TollGate:
    """Judges what workers send, and watches when their calls are answered and over. Times are seconds."""

    def __init__(self, guard: TollGuard) -> None:
        self.refused = dict.fromkeys(Why, 0)  # calls, and those that a REFER was to place
        self._guard = guard
        self._calls: OrderedDict[str, _Call] = OrderedDict()  # by Call-ID

    def send(self, data: bytes, *, now: float) -> bytes | None:
        """Judge a message of ours: None lets it go; else its sender is to get this response, if it is not empty."""
        if not data.startswith((b"INVITE ", b"REFER ")):
            return None
        try:
            request = parse_message(data)
            assert isinstance(request, Request)
            verdict = self._judge_refer(request, now) if request.method == "REFER" else self._judge_invite(request, now)
        except SipParseError as error:
            return refuse_malformed(data, error) or b""
        if not isinstance(verdict, Refused):
            return None
        self.refused[verdict.why] += 1
        wait = () if verdict.retry_after_s is None else (("Retry-After", str(int(verdict.retry_after_s) + 1)),)
        reason = (("Reason", f'SIP;cause=603;text="toll: {verdict.why.value}"'),)
        return build_message(stateless_response(request, 503 if wait else 403, extra=(*wait, *reason)))

    def _judge_refer(self, refer: Request, now: float) -> Verdict:
        target = next((str(address.uri) for address in addresses(refer, "Refer-To")), "")
        verdict = self._guard.allow(target, now=now)
        if isinstance(verdict, Allowed):
            self._guard.ended(verdict.ticket, talked_s=0.0)  # from here on it is the far end's call
        return verdict

    def _judge_invite(self, invite: Request, now: float) -> Verdict | None:
        """Judge a call's first INVITE, and each to another target after it: a redirect may lead anywhere."""
        target = str(invite.uri)
        call = self._calls.get(invite.call_id)
        if invite.to.tag or (call is not None and call.target == target):
            return None
        if call is not None:
            self.released(invite.call_id, now=now)
        verdict = self._guard.allow(target, now=now)
        if isinstance(verdict, Allowed):
            self._calls[invite.call_id] = _Call(verdict.ticket, target, verdict.within_s)
            if len(self._calls) > _MAX_CALLS:
                self._calls.popitem(last=False)
        return verdict

    def receive(self, message: Message, *, now: float) -> float | None:
        """Watch what comes: an answered call begins to cost. Gives when it must have ended."""
        if isinstance(message, Response) and message.cseq.method == "INVITE" and 200 <= message.status < 300:
            call = self._calls.get(message.call_id)
            if call is not None and call.answered_at is None:
                call.answered_at = now
                return now + call.within_s - _EARLY_S
        return None

    def released(self, sip_call_id: str, *, now: float) -> None:
        """Note that a call is over."""
        call = self._calls.pop(sip_call_id, None)
        if call is not None:
            self._guard.ended(call.ticket, talked_s=0.0 if call.answered_at is None else now - call.answered_at)
