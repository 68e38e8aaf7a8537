from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from bot.flows.loader import LIBRARY, load_flow
from bot.flows.svg import svg
from tests.fakes.flows import flow_of

_IMAGES = Path(__file__).parents[4] / "docs/images/flows"
_SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", ["bank", "klinika", "kommunal", "xatirlatma"])
def test_the_drawings_in_the_docs_are_current(name: str) -> None:
    """Run `zeng flow graph bot/flows/library/NAME.flow.yaml -o docs/images/flows/NAME.svg` when this fails."""
    drawn = svg(load_flow(LIBRARY / f"{name}.flow.yaml"))
    assert (_IMAGES / f"{name}.svg").read_text(encoding="utf-8") == drawn


def test_every_state_is_a_box_of_its_kind_and_every_way_a_path() -> None:
    flow = flow_of("""\
start: menu
states:
  menu: {say: A, menu: [{intent: book, dtmf: "1", then: n}, {intent: hours, then: menu}], yes: end, no_input: {then: n}}
  n: {say: "<&>", then: end}
""")
    root = ElementTree.fromstring(svg(flow))
    texts = ["".join(text.itertext()) for text in root.iter(f"{_SVG}text")]
    assert {"menu", "n", "end", "silent_end", "book / 1no_input", "human / 0", "no_match"} <= set(texts)
    kinds = [rect.get("class") for rect in root.iter(f"{_SVG}rect")]
    assert sorted(kind for kind in kinds if kind != "b flag") == ["b hangup", "b hangup", "b menu", "b say"]
    # to the start, from three flags, menu to n, to itself and to the end, n to the end, and the arrowhead
    assert len(list(root.iter(f"{_SVG}path"))) == 1 + 3 + 3 + 1 + 1
    assert len(root.findall(f".//{_SVG}circle")) == 1


def test_what_a_flow_is_called_cannot_break_the_drawing() -> None:
    condition = "1 < 2 and '<b>' != '&'"
    flow = flow_of(f'start: gate\nstates:\n  gate: {{decide: [{{if: "{condition}", then: end}}, {{else: end}}]}}\n')
    assert condition in "".join(ElementTree.fromstring(svg(flow)).itertext())
