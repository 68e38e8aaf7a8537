"""Tools that look for open telephone systems, told by the names that they give themselves.

Whoever means harm and takes care writes another name: the list saves work and noise, it is no protection.
"""

from __future__ import annotations

import re

_NAMES = (
    b"friendly-scanner",
    b"friendly-request",
    b"sipvicious",
    b"sipcli",
    b"sip-scan",
    b"sipscan",
    b"sundayddr",
    b"siparmyknife",
    b"iwar",
    b"vaxsipuseragent",
    b"vaxasip",
    b"pplsip",
    b"scansip",
)
# Only in the two headers that name a program, and only at the beginning of their value.
_AGENT = re.compile(
    rb"^(?:user-agent|server)[ \t]*:[ \t]*(?:" + b"|".join(_NAMES) + rb")\b", re.IGNORECASE | re.MULTILINE
)
_LOOKED_AT_BYTES = 4096


def is_scanner(data: bytes) -> bool:
    """Whether a message says that it comes from a scanner."""
    return _AGENT.search(data, 0, _LOOKED_AT_BYTES) is not None
