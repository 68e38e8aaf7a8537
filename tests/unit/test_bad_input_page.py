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


def test_the_page_names_tests() -> None:
    assert len(NAMED) > 50


@pytest.mark.parametrize(("path", "test"), NAMED, ids=[test for _, test in NAMED])
def test_a_test_that_the_page_names_exists(path: str, test: str) -> None:
    folder = next((folder for letter, folder in FOLDERS.items() if path.startswith(letter)), "")
    source = (ROOT / folder / (path[2:] if folder else path)).read_text("utf-8")

    assert re.search(rf"^(async )?def {test}\(", source, re.MULTILINE)
