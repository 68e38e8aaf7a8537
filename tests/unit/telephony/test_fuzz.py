"""A short run of the fuzzers; `python -m tests.fuzz` is the long one."""

from __future__ import annotations

import pytest

from tests.fuzz.campaign import run
from tests.fuzz.mutate import Mutator
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_no_mutated_input_is_raised_upon_or_hung_upon_or_kept(name: str) -> None:
    make, share = TARGETS[name]

    outcome = run(make, inputs=100 * share, seed=7)

    assert not outcome.findings, outcome.findings[0]
    assert outcome.slowest_s < 0.1, outcome.slowest
    assert not any(outcome.held.values()), outcome.held


def test_a_campaign_finds_what_is_broken_and_goes_on() -> None:
    class Broken:
        def __init__(self) -> None:
            self.seeds = [b"abc"]

        def take(self, data: bytes) -> None:
            if b"a" not in data:
                raise ValueError(data)

        def held(self) -> dict[str, int]:
            return {"left": 1}

    outcome = run(Broken, inputs=500, seed=1)

    assert outcome.inputs == 500
    assert outcome.findings
    assert not outcome.sound


def test_the_same_seed_makes_the_same_inputs() -> None:
    first, second = (Mutator([b"INVITE sip:a SIP/2.0"], seed=5) for _ in range(2))

    assert [first.next() for _ in range(200)] == [second.next() for _ in range(200)]
