from __future__ import annotations

from bot.services.prompt_cache import PromptCache


def test_a_prompt_is_kept_for_its_voice() -> None:
    cache = PromptCache(max_bytes=10)
    cache.put("az", "salam", b"1234")

    assert cache.get("az", "salam") == b"1234"
    assert cache.get("tr", "salam") is None


def test_the_least_recently_used_prompt_goes_first() -> None:
    cache = PromptCache(max_bytes=8)
    cache.put("az", "a", b"1234")
    cache.put("az", "b", b"1234")
    cache.get("az", "a")

    cache.put("az", "c", b"1234")

    assert [cache.get("az", t) is not None for t in "abc"] == [True, False, True]


def test_a_prompt_over_the_whole_budget_is_not_kept_and_evicts_nothing() -> None:
    cache = PromptCache(max_bytes=8)
    cache.put("az", "a", b"1234")

    cache.put("az", "long", bytes(9))

    assert cache.get("az", "long") is None
    assert cache.get("az", "a") == b"1234"


def test_a_prompt_put_again_replaces_itself() -> None:
    cache = PromptCache(max_bytes=8)
    for _ in range(5):
        cache.put("az", "a", b"12345678")

    assert cache.get("az", "a") == b"12345678"
