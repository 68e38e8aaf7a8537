"""docs/interop.md: its table of peers and features says what its list of tests says, and the tests exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "interop.md").read_text("utf-8")
FOLDERS = {"T": "tests/integration/telephony", "W": "tests/integration/web", "E": "tests/e2e"}


def rows(heading: str) -> list[list[str]]:
    """The table under a heading, its first row too."""
    part = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in part.splitlines() if line.startswith("|") and not line.startswith("|---")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


LISTED = rows("The tests")[1:]
NAMED = sorted({found for row in LISTED for found in re.findall(r"`([TWE]/\w+\.py::test_\w+)`", row[3])})
SCENARIOS = sorted({name for row in LISTED for name in re.findall(r"`(ua[cs]_\w+)`", row[2])})


def test_a_dot_of_the_table_is_a_test_of_the_list_and_the_other_way_round() -> None:
    (_, *peers), *features = rows("Peer and feature")
    dots = {(peer, row[0]) for row in features for peer, cell in zip(peers, row[1:], strict=True) if cell}

    assert dots == {(peer, feature) for peer, feature, _, _ in LISTED}


def test_every_row_names_a_test() -> None:
    assert [row for row in LISTED if not re.search(r"`[TWE]/\w+\.py::test_\w+`", row[3])] == []


@pytest.mark.parametrize("named", NAMED)
def test_a_test_that_the_page_names_exists(named: str) -> None:
    letter, path, test = re.split(r"/|::", named)
    source = (ROOT / FOLDERS[letter] / path).read_text("utf-8")

    assert re.search(rf"^(async )?def {test}\(", source, re.MULTILINE)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_that_the_page_names_is_run(name: str) -> None:
    assert (ROOT / "tests" / "data" / "sipp" / f"{name}.xml").is_file()
    tests = (path.read_text("utf-8") for path in (ROOT / FOLDERS["T"]).glob("test_*.py"))
    assert any(f'"{name}"' in source for source in tests)
