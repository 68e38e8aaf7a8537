from __future__ import annotations

import re
from pathlib import Path

import pytest

from finetune.data.clip import Rejection
from finetune.data.reasons import Reason
from finetune.data.report import write_report


@pytest.mark.parametrize(("count", "pages"), [(0, 1), (2000, 1), (2001, 2), (4500, 3)])
def test_every_rejected_clip_is_on_a_page_with_its_player(tmp_path: Path, count: int, pages: int) -> None:
    (tmp_path / "report-9.html").write_text("of an earlier run", encoding="utf-8")
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    write_report(tmp_path, [], [Rejection(f"clip-{n}", Reason.RATE_FAST, "", "a.wav") for n in range(count)])

    files = sorted(tmp_path.glob("report*.html"))
    htmls = [file.read_text("utf-8") for file in files]
    assert len(files) == pages
    assert {name for html in htmls for name in re.findall(r"clip-\d+", html)} == {f"clip-{n}" for n in range(count)}
    assert sum(html.count("<audio") for html in htmls) == count
    links = {link for html in htmls for link in re.findall(r'href="([^"]+)"', html)}
    assert links == ({file.name for file in files} if pages > 1 else set())
