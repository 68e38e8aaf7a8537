"""The page's files by themselves: no browser."""

from __future__ import annotations

import re

from tests.fakes.page_server import PAGE


def test_both_languages_have_the_same_texts() -> None:
    source = (PAGE / "texts.js").read_text()
    az, en = (re.search(rf"const {code} = {{(.*?)^}};", source, re.DOTALL | re.MULTILINE) for code in ("az", "en"))
    assert az is not None
    assert en is not None
    keys = [re.findall(r"^  (\w+):", block[1], re.MULTILINE) for block in (az, en)]
    assert keys[0] == keys[1]
    assert len(keys[0]) > 40


def test_every_text_that_the_page_asks_for_exists() -> None:
    source = (PAGE / "texts.js").read_text()
    known = set(re.findall(r"^  (\w+):", source, re.MULTILINE))
    html = (PAGE / "index.html").read_text()
    code = "".join((PAGE / name).read_text() for name in ("page.js", "transcript.js", "call.js"))
    asked = set(re.findall(r'data-(?:text|label)="(\w+)"', html)) | set(re.findall(r'\btext\("(\w+)"', code))
    asked |= set(re.findall(r'"((?:error|cause|talk|about)[A-Z]\w+)"', code))
    assert asked - known == set()


def test_the_page_loads_nothing_from_elsewhere() -> None:
    for path in PAGE.iterdir():
        links = re.findall(r"""(?:src|href|import|url)\s*[=(]?\s*["'](https?:)?//""", path.read_text())
        assert links == [], path.name
