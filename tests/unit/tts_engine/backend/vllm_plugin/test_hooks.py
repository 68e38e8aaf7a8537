from __future__ import annotations

import pytest

from tts_engine.backend.vllm_plugin.hooks import (
    attributes,
    attributes_set,
    check,
    missing,
    otherwise_called,
    unknown,
)


class Old:
    def __init__(self) -> None:
        self.computed = 0
        self.in_flight = 0

    def schedule(self, throttle: bool = False) -> None:
        self.computed += 1

    def update(self, request: str, ids: list[int]) -> None: ...


class New(Old):
    def schedule(self, throttle: bool = False) -> None:
        super().schedule(throttle)
        self.placeholders = 1


def test_a_version_that_has_all_of_it_is_taken():
    expected = {Old.update: ("self", "request", "ids")}
    faults = otherwise_called(expected) + missing("Old", attributes(Old), ("computed", "in_flight", "update"))
    check("1.2.3", [*faults, *unknown("a step", attributes_set(Old, "schedule"), {"computed"})])


def test_all_that_differs_is_named_with_the_version():
    faults = [
        *otherwise_called({Old.update: ("self", "ids")}),
        *missing("Old", attributes(Old), ("computed", "placeholders", "free")),
        *unknown("a step", attributes_set(New, "schedule"), {"computed"}),
    ]
    with pytest.raises(RuntimeError) as refused:
        check("1.2.3", faults)
    assert str(refused.value) == (
        "vLLM 1.2.3 is not what CSM was written for: Old.update takes (self, request, ids), not (self, ids); "
        "Old has no placeholders, free; a step has placeholders besides (docs/voice.md, In vLLM)"
    )


def test_parameters_may_follow_where_only_the_first_are_used():
    assert not otherwise_called({Old.update: ("self", "request")}, more=True)
    assert otherwise_called({Old.update: ("self", "request")})


def test_what_a_method_sets_is_found_where_it_is_inherited_too():
    assert attributes_set(New, "schedule") == {"computed", "placeholders"}
