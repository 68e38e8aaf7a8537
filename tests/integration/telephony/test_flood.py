"""A live call keeps its audio while 5,000 malformed datagrams a second come."""

from __future__ import annotations

import pytest

from tests.integration.telephony.flood import Kind, call_under_flood
from tests.waiting import machine_watched


@pytest.mark.parametrize("kind", ["sip", "rtp"])
async def test_a_flood_of_malformed_datagrams_takes_no_sound_from_a_call(kind: Kind) -> None:
    with machine_watched() as held_up:
        heard = await call_under_flood(kind, per_s=5_000, seconds=3.0)

    assert heard.flooded > 10_000
    # Of 300 frames, 150 each way; docs/benchmarks.md has what a quiet machine makes of it.
    assert heard.frames >= 140
    assert heard.caller.lost + heard.bot.lost <= 6
    assert heard.caller.concealed_ms + heard.bot.concealed_ms <= 600 + held_up.sum_ms
