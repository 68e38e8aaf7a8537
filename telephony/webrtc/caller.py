"""The calling side: a leg that offers, as a page does; for tests and the load generator."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable

from telephony.leg import CallInfo, EndCause
from telephony.settings import WebRtcSettings
from telephony.webrtc.leg import WebRtcLeg, open_leg
from telephony.webrtc.sdp import parse_description
from telephony.webrtc.shared_media import SharedMedia


async def place_call(
    send_offer: Callable[[str], Awaitable[str]],
    settings: WebRtcSettings,
    *,
    callee: str = "bot",
    media: SharedMedia | None = None,
) -> WebRtcLeg:
    """Call by sending our offer's SDP, which is to return the answer's; returns once media flows.

    Callers of one loop may share their `media`, which costs less. Of the leg, `receive()` gives what the bot says (at
    16 kHz) and `play()` says something to it (at 24 kHz). Raises what `send_offer` raises, `SdpError` for an answer
    that is none, and `LegEndedError` if no connection comes about.
    """
    info = CallInfo(uuid.uuid4().hex, "webrtc", "caller", callee)
    leg = await open_leg(settings, info, offering=True, media=media or SharedMedia())
    try:
        leg.connect(parse_description(await send_offer(await leg.describe())))
        await leg.answer()
    except BaseException:
        leg.end(EndCause.CANCELLED)
        await leg.wait_closed()
        raise
    return leg
