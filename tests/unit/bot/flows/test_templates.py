from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.flows.templates import Template, TemplateError


def test_values_are_filled_in_through_their_filters() -> None:
    template = Template.of("Nömrə {{ phone | digits }}, məbləğ {{sum|money}}.")
    assert template.render({"phone": "+994501234567", "sum": "12.5"}) == "Nömrə 050 123 45 67, məbləğ 12,50 manat."
    assert template.names() == {"phone", "sum"}
    assert not template.is_fixed


def test_a_value_that_is_missing_is_left_out() -> None:
    assert Template.of("a {{ b }} c").render({}) == "a  c"


def test_a_text_without_places_is_fixed() -> None:
    assert Template.of("Salam").is_fixed
    assert Template.of("").render({}) == ""


@pytest.mark.parametrize(
    "text", ["{{ a | nothing }}", "{{ }}", "{{ a b }}", "{{ a", "a }}", "{{ a.b }}", "{{ a() }}"]
)
def test_places_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(TemplateError):
        Template.of(text)


@given(st.text(max_size=40), st.text(max_size=10))
def test_a_value_is_never_read_as_a_template(text: str, value: str) -> None:
    assert Template.of("{{ a }}").render({"a": f"{{{{ b }}}}{value}", "b": "secret"}) == f"{{{{ b }}}}{value}"
