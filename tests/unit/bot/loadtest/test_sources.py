from __future__ import annotations

from bot.flows.loader import LIBRARY, load_flow
from bot.loadtest.sources import fixed_prompts


def test_what_a_flow_says_the_same_in_every_call_has_a_name_and_its_words() -> None:
    found = fixed_prompts(load_flow(LIBRARY / "klinika.flow.yaml"))

    assert found["states-tell_address-say"] == "Ünvanımız Nizami küçəsi 45, Sahil metrosunun yaxınlığındadır."
    assert found["disclosure"].startswith("Salam!")
    assert not any("{{" in text for text in found.values())
    assert len(set(found.values())) == len(found) > 10
