from __future__ import annotations

import pytest

from finetune.budget import Budget


def test_the_budget_that_is_used_up_first_counts() -> None:
    budget = Budget(steps=100, seconds=10.0)
    assert budget.share(50, 1.0) == 0.5
    assert budget.share(50, 9.0) == 0.9


def test_one_budget_is_enough() -> None:
    assert Budget(seconds=10.0).share(1_000_000, 5.0) == 0.5
    assert Budget(steps=4).share(4, 1e9) == 1.0


def test_a_budget_without_an_end_is_refused() -> None:
    with pytest.raises(ValueError, match="steps or seconds"):
        Budget()
