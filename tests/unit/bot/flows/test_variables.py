from __future__ import annotations

import pytest

from bot.errors import FlowError
from bot.flows.loader import LIBRARY, load_flow
from bot.flows.variables import check_declared, pairs_of


def test_pairs_are_read_with_all_that_follows_the_first_sign() -> None:
    assert pairs_of(["day=2026-12-01", "name=", "url=a=b"]) == {"day": "2026-12-01", "name": "", "url": "a=b"}


@pytest.mark.parametrize("text", ["name", "=value", ""])
def test_what_is_no_pair_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write NAME=VALUE"):
        pairs_of([text])


def test_a_name_that_the_flow_does_not_declare_is_refused_with_those_that_it_does() -> None:
    flow = load_flow(LIBRARY / "xatirlatma.flow.yaml")

    check_declared(flow, ["day", "time"])
    with pytest.raises(FlowError, match="has no variable dya, name; it declares: operator, day, time"):
        check_declared(flow, ["name", "dya", "day"])
