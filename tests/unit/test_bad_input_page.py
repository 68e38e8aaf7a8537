"""docs/bad-input.md names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "bad-input.md").read_text("utf-8")
FOLDERS = {
    "S/": "tests/unit/telephony/sip/",
    "R/": "tests/unit/telephony/rtp/",
    "A/": "tests/unit/telephony/audio/",
    "I/": "tests/integration/",
    "E/": "tests/e2e/",
}
NAMED = sorted(set(re.findall(r"`([^`\s]+\.py)::(test_\w+)`", PAGE)))

# What must be in it, whoever edits the page: words of the first column of a row.
ITEMS = [
    "RFC 4475", "RFC 5118", "no c= line", "port 0", "0.0.0.0", "payload type named twice", "clock rate 0", "ptime 10",
    "two audio streams", "T.38", "SAVP without a key", "no base64", "INVITE without an offer", "60,000 bytes",
    "INVITE sent again", "two paths", "CANCEL that crosses", "ACK lost", "BYE before ACK", "re-INVITEs that cross",
    "CSeq going back", "no dialog", "Max-Forwards 0", "Require", "423", "no place left", "302 in a circle",
    "Digest: replay", "Digest: old nonce", "nonce count", "TCP cut anywhere", "negative or double Content-Length",
    "CRLF keep-alive", "wrong version", "another SSRC", "numbers that wrap", "timestamps that jump", "duplicates",
    "0 bytes", "1,500 bytes", "X and CC bits", "third address", "RTCP compound garbage", "DTMF without an end",
    "DTMF ends lost or repeated", "DTMF offered at three rates", "comfort noise", "caller says nothing",
    "never hangs up", "RTP stops without BYE", "flood of INVITEs", "language model is slow", "speech server is slow",
    "Redis is down", "SIGTERM",
]  # fmt: skip


def test_the_page_names_tests() -> None:
    assert len(NAMED) > 50


@pytest.mark.parametrize(("path", "test"), NAMED, ids=[test for _, test in NAMED])
def test_a_test_that_the_page_names_exists(path: str, test: str) -> None:
    folder = next((folder for letter, folder in FOLDERS.items() if path.startswith(letter)), "")
    source = (ROOT / folder / (path[2:] if folder else path)).read_text("utf-8")

    assert re.search(rf"^(async )?def {test}\(", source, re.MULTILINE)


@pytest.mark.parametrize("item", ITEMS)
def test_an_input_that_must_be_tried_has_its_row_and_its_test(item: str) -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("|") and item in line.split("|")[1]]

    assert rows
    assert all("::test_" in row for row in rows)
