"""`python tests/bench/bench_flood.py`: what a call hears while somebody floods the bot's SIP or RTP port."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.integration.telephony.flood import Kind, call_under_flood

SECONDS = float(os.environ.get("SECONDS_EACH", "10"))
_ROWS: tuple[tuple[Kind, int, str], ...] = (
    ("none", 0, "127.0.0.2"),
    ("sip", 5_000, "127.0.0.2"),
    ("sip", 5_000, "127.0.0.1"),
    ("rtp", 5_000, "127.0.0.2"),
)


async def main() -> None:
    """Print one row a flood."""
    print("| flood | from | sent a second | lost | late | concealed ms | underruns of the bot | sent late ms, worst |")
    print("|---|---|---|---|---|---|---|---|")
    for kind, per_s, source in _ROWS:
        heard = await call_under_flood(kind, per_s=per_s, seconds=SECONDS, source=source)
        caller, bot = heard.caller, heard.bot
        rate = heard.flooded / heard.flood_s
        print(
            f"| {kind} | {source} | {rate:,.0f} | {caller.lost + bot.lost} | {caller.late + bot.late} "
            f"| {caller.concealed_ms + bot.concealed_ms} | {bot.underruns} | {bot.sent_late_ms_max:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    asyncio.run(main())
