"""The codecs that SDP may name, as this package knows them: G.711 at 8 kHz, a byte a sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from telephony.audio.g711 import A_LAW, G711, MU_LAW

CLOCK_HZ = 8_000
COMFORT_NOISE = 13  # static payload type, RFC 3389; we play silence for it

CODECS: Mapping[Literal["PCMU", "PCMA"], G711] = {"PCMU": MU_LAW, "PCMA": A_LAW}
