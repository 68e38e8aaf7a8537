"""Q.850 causes: why a call ended, in the telephone network's own numbers (RFC 3326, RFC 6432, RFC 3398)."""

from __future__ import annotations

import re

from telephony.errors import SipParseError
from telephony.sip.message import Message, Response

_CAUSE = re.compile(r";[ \t]*cause[ \t]*=[ \t]*([0-9]{1,3})(?![0-9])", re.IGNORECASE)

_OF_STATUS = {
    400: 41, 401: 21, 402: 21, 403: 21, 404: 1, 405: 63, 406: 79, 407: 21, 408: 102, 410: 22, 413: 127, 414: 127,
    415: 79, 416: 127, 420: 127, 421: 127, 423: 127, 480: 18, 481: 41, 482: 25, 483: 25, 484: 28, 485: 1, 486: 17,
    487: 31, 488: 31, 500: 41, 501: 79, 502: 38, 503: 41, 504: 102, 505: 127, 513: 127, 600: 17, 603: 21, 604: 1,
    606: 31,
}  # fmt: skip
"""RFC 3398 section 8.2.6.1."""


def q850_of(message: Message) -> int | None:
    """Read the cause that a message gives; else the one that its status stands for, None where there is neither."""
    try:
        reasons = message.headers.listed("Reason")
    except SipParseError:  # a text whose quotes do not close is no reason to keep a call
        reasons = message.headers.all("Reason")
    for reason in reasons:
        match = _CAUSE.search(reason)
        if reason.strip().lower().startswith("q.850") and match is not None and int(match.group(1)) <= 127:
            return int(match.group(1))
    return _OF_STATUS.get(message.status) if isinstance(message, Response) else None
