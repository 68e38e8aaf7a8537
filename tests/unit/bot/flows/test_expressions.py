from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.flows.expressions import Expression, ExpressionError

_NAMES = {
    "phone": "+994501234567",
    "amount": "25.50",
    "empty": "",
    "day": "2026-11-24",
    "yes": "true",
    "no": "false",
    "code": "0501",
}
_FUNCTIONS = {"open": lambda _: True, "length": lambda arguments: Decimal(len(str(arguments[0])))}


@pytest.mark.parametrize(
    "text",
    [
        "phone",
        "yes",
        "not no",
        "not empty",
        "not unknown",
        "open()",
        "open() and phone",
        "empty or phone",
        "not (empty or no)",
        "amount > 25",
        "amount <= 25.5",
        "amount == 25.50",
        "amount != 26",
        "-1 < 0",
        'day >= "2026-11-23"',
        "day < '2026-12-01'",
        'day in ["2026-11-24", "2026-11-25"]',
        'day not in ["2026-11-25"]',
        "length(phone) == 13",
        'code == "0501"',
        'code != "501"',
        "code == 501",
        "yes == true",
        "no != true",
        "true and not false",
        "(1 < 2) == true",
        "empty == ''",
        "unknown_function() == ''",
    ],
)
def test_conditions_that_hold(text: str) -> None:
    assert Expression.of(text).holds(_NAMES, _FUNCTIONS)


@pytest.mark.parametrize(
    "text",
    [
        "empty",
        "no",
        "0",
        "phone and empty",
        "amount > 'x'",
        "empty < 1",
        "'' < 'a'",
        "true < 'a'",
        "amount in []",
        "phone == 994501234567",
    ],
)
def test_conditions_that_do_not_hold(text: str) -> None:
    assert not Expression.of(text).holds(_NAMES, _FUNCTIONS)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("a ==", "ends too early"),
        ("a b", "'b' is not expected"),
        ("(a", r"'\)' is missing"),
        ("a in [1", "',' is missing"),
        ("a in 1", r"'\[' is missing"),
        ("f(1 2)", "',' is missing"),
        ("a = 1", "'= 1' is not expected"),
        ("__import__('os')", None),
        ("a.b", "'.b' is not expected"),
        ("and", "'and' is not expected"),
        (")", r"'\)' is not expected"),
        ("not " * 30 + "a", "nested deeper"),
        ("(" * 30 + "a" + ")" * 30, "nested deeper"),
        ("a or " * 200 + "a", "longer than"),
    ],
)
def test_conditions_that_cannot_be_read_are_refused(text: str, what: str | None) -> None:
    if what is None:
        assert Expression.of(text).calls() == (("__import__", 1),)  # lint refuses what is not in the table
        return
    with pytest.raises(ExpressionError, match=what):
        Expression.of(text)


def test_names_and_calls_are_known_before_the_call() -> None:
    expression = Expression.of("open() and (a or not b) and c in [d, 'e'] and length(f) > 1")
    assert expression.names() == {"a", "b", "c", "d", "f"}
    assert expression.calls() == (("open", 0), ("length", 1))


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_and_evaluation_never_fails(text: str) -> None:
    try:
        expression = Expression.of(text)
    except ExpressionError:
        return
    assert expression.holds(_NAMES, _FUNCTIONS) in {True, False}


_CONDITION = st.recursive(
    st.sampled_from(["a", "b", "''", "'x'", "1", "2.5", "true", "open()"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or", "==", "!=", "<", ">="]), inner).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        ),
        inner.map(lambda text: f"(not {text})"),
        st.lists(inner, max_size=3).map(lambda items: f"(a in [{', '.join(items)}])"),
    ),
    max_leaves=6,
)


@given(_CONDITION, st.sampled_from(["", "x", "1", "2.5", "true"]), st.sampled_from(["", "x", "1"]))
def test_conditions_agree_with_their_negation(text: str, first: str, second: str) -> None:
    names = {"a": first, "b": second}
    assert Expression.of(text).holds(names, _FUNCTIONS) != Expression.of(f"not {text}").holds(names, _FUNCTIONS)
