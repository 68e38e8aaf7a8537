"""Seeded mutation of byte strings: what breaks parsers, a few changes at a time."""

from __future__ import annotations

import random
from collections.abc import Sequence

NASTY = (
    b"",
    b"\x00",
    b"\r\n",
    b"\r\n\r\n",
    b"\r\n ",
    b";;",
    b";=",
    b",,",
    b'"',
    b"\\",
    b"<",
    b">",
    b"<<>>",
    b"%",
    b"%00",
    b"[",
    b"]",
    b"[::]",
    b":",
    b"@",
    b"=" * 200,
    b"(" * 200,
    b";a" * 300,
    b"," * 500,
    b'"\\' * 300,
    b"a" * 5_000,
    b"-1",
    b"0",
    b"4294967296",
    b"9" * 40,
    b"\xff\xfe",
    "əşğ".encode(),
    b"\xed\xa0\x80",
    b"SIP/2.0",
    b"Via: SIP/2.0/UDP a;branch=z9hG4bKx\r\n",
    b"Content-Length: -5\r\n",
    b"l: 99999\r\n",
    b"Route: <sip:a;lr>\r\n",
    b"Require: x\r\n",
    b"m=audio 0 RTP/AVP 0\r\n",
    b"a=rtpmap:0 PCMU/0\r\n",
    b"c=IN IP4 255.255.255.255\r\n",
    b"a=ptime:0\r\n",
)
MAX_BYTES = 65_535


class Mutator:
    """Makes inputs from seeds; the same `seed` makes the same ones."""

    def __init__(self, seeds: Sequence[bytes], *, seed: int) -> None:
        self._seeds = seeds
        self._random = random.Random(seed)

    def next(self) -> bytes:
        """Give the next input."""
        data = self._random.choice(self._seeds)
        for _ in range(self._random.choice((0, 1, 1, 1, 2, 3, 8))):
            data = self._change(data)
        return data[:MAX_BYTES]

    def _change(self, data: bytes) -> bytes:
        dice, at = self._random, self._random.randrange(len(data) + 1)
        end = min(len(data), at + dice.choice((1, 1, 2, 4, 16, 200)))
        match dice.randrange(8):
            case 0:
                return data[:at] + dice.choice(NASTY) + data[at:]
            case 1:
                return data[:at] + dice.choice(NASTY) + data[end:]
            case 2:
                return data[:at] + data[end:]
            case 3:
                return data[:at]
            case 4:
                return data[:at] + data[at:end] * dice.choice((2, 3, 50)) + data[end:]
            case 5:
                return data[:at] + dice.randbytes(end - at) + data[end:]
            case 6:
                bits = bytearray(data)
                if bits:
                    bits[at % len(bits)] ^= 1 << dice.randrange(8)
                return bytes(bits)
            case _:
                other = dice.choice(self._seeds)
                return data[:at] + other[dice.randrange(len(other) + 1) :]
