"""Conditions of a flow file: `phone and not open_on(day)`, `amount > 100`, `city in ["Bakı", "Gəncə"]`.

A language of its own, with its own tokens and parser: names are slots and variables, functions come from a fixed
table, and nothing else can be reached. Evaluation never fails: a name without a value is the empty text, and a
comparison that makes no sense is false.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

Value: TypeAlias = str | Decimal | bool
Function: TypeAlias = Callable[[Sequence[Value]], Value]

_MAX_LENGTH = 500
_MAX_DEPTH = 20
_TOKEN = re.compile(
    r"\s*(?:(?P<number>-?\d+(?:\.\d+)?)|(?P<name>[^\W\d]\w*)|(?P<string>\"[^\"]*\"|'[^']*')|(?P<mark>==|!=|<=|>=|[<>(),\[\]]))"
)
_NUMERIC = re.compile(r"-?\d+(?:\.\d+)?")
_ORDERS: Mapping[str, Callable[[int], bool]] = {
    "<": lambda sign: sign < 0,
    "<=": lambda sign: sign <= 0,
    ">": lambda sign: sign > 0,
    ">=": lambda sign: sign >= 0,
}
_TRUTHS: Mapping[str, bool] = {"true": True, "false": False}
_RESERVED = frozenset({"and", "or", "not", "in"})


class ExpressionError(ValueError):
    """A condition cannot be read; the message quotes it and says where."""


@dataclass(frozen=True, slots=True)
class Literal:
    value: Value


@dataclass(frozen=True, slots=True)
class Name:
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    operand: Node


@dataclass(frozen=True, slots=True)
class Every:
    """Operands of `and`."""

    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """Operands of `or`."""

    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    left: Node
    mark: str
    right: Node


@dataclass(frozen=True, slots=True)
class OneOf:
    left: Node
    values: tuple[Node, ...]


Node: TypeAlias = Literal | Name | Call | Not | Every | Either | Compare | OneOf


@dataclass(frozen=True, slots=True)
class Expression:
    """A condition, parsed; `text` is as written."""

    text: str
    node: Node

    @classmethod
    def of(cls, text: str) -> Expression:
        """Parse a condition, or raise `ExpressionError`."""
        if not text.strip():
            raise ExpressionError("the condition is empty: write one, such as `open()`")
        if len(text) > _MAX_LENGTH:
            raise ExpressionError(
                f"the condition is longer than {_MAX_LENGTH} characters: use a `decide` state for parts"
            )
        return cls(text, _Parser(text).parse())

    def holds(self, names: Mapping[str, str], functions: Mapping[str, Function]) -> bool:
        """Evaluate against the values of slots and variables."""
        return truth(_evaluate(self.node, names, functions))

    def names(self) -> frozenset[str]:
        """Give the slots and variables that the condition reads."""
        return frozenset(node.name for node in _walk(self.node) if isinstance(node, Name))

    def calls(self) -> tuple[tuple[str, int], ...]:
        """Give the functions that it calls, with their number of arguments."""
        return tuple((node.function, len(node.arguments)) for node in _walk(self.node) if isinstance(node, Call))


def truth(value: Value) -> bool:
    """Tell whether a value counts as true: all but false, zero, the empty text and the text `false`."""
    return value not in {"", "false"} if isinstance(value, str) else bool(value)


class _Parser:
    """Recursive descent, one token ahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._at = 0
        self._depth = 0

    def parse(self) -> Node:
        node = self._either()
        if self._peek() is not None:
            raise self._error(f"{self._peek()!r} is not expected")
        return node

    def _either(self) -> Node:
        operands = [self._every()]
        while self._take("or"):
            operands.append(self._every())
        return operands[0] if len(operands) == 1 else Either(tuple(operands))

    def _every(self) -> Node:
        operands = [self._not()]
        while self._take("and"):
            operands.append(self._not())
        return operands[0] if len(operands) == 1 else Every(tuple(operands))

    def _not(self) -> Node:
        if not self._take("not"):
            return self._comparison()
        self._deeper()
        node = Not(self._not())
        self._depth -= 1
        return node

    def _comparison(self) -> Node:
        left = self._value()
        mark = self._peek()
        if mark in {"==", "!=", *_ORDERS}:
            self._at += 1
            return Compare(left, mark, self._value())
        if self._take("in"):
            return OneOf(left, self._list("[", "]"))
        if mark == "not" and self._peek(1) == "in":
            self._at += 2
            return Not(OneOf(left, self._list("[", "]")))
        return left

    def _value(self) -> Node:
        word = self._peek()
        if word is None:
            raise self._error("it ends too early")
        self._at += 1
        if word[0] in "('\"":
            return self._parenthesis() if word == "(" else Literal(word[1:-1])
        if _NUMERIC.fullmatch(word):
            return Literal(Decimal(word))
        if word in _TRUTHS:
            return Literal(_TRUTHS[word])
        if word in _RESERVED or not word.isidentifier():
            raise self._error(f"{word!r} is not expected")
        return Call(word, self._list("(", ")")) if self._peek() == "(" else Name(word)

    def _parenthesis(self) -> Node:
        self._deeper()
        node = self._either()
        self._depth -= 1
        self._expect(")")
        return node

    def _list(self, opening: str, closing: str) -> tuple[Node, ...]:
        self._expect(opening)
        self._deeper()
        values: list[Node] = []
        while not self._take(closing):
            if values:
                self._expect(",")
            values.append(self._value())
        self._depth -= 1
        return tuple(values)

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._error(f"it is nested deeper than {_MAX_DEPTH}")

    def _peek(self, ahead: int = 0) -> str | None:
        return self._tokens[self._at + ahead] if self._at + ahead < len(self._tokens) else None

    def _take(self, word: str) -> bool:
        taken = self._peek() == word
        self._at += taken
        return taken

    def _expect(self, word: str) -> None:
        if not self._take(word):
            raise self._error(f"{word!r} is missing")

    def _error(self, what: str) -> ExpressionError:
        return _unreadable(self._text, what)


def _unreadable(text: str, what: str) -> ExpressionError:
    return ExpressionError(
        f"the condition `{text}` cannot be read, {what}: use names, 'texts', numbers, == != < <= > >=, in, and, or, "
        "not and the functions in docs/flows.md"
    )


def _tokens(text: str) -> Iterator[str]:
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise _unreadable(text, f"{text[at:].strip()[:10]!r} is not expected")
        yield match[0].strip()
        at = match.end()


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for child in _children(node):
        yield from _walk(child)


def _children(node: Node) -> tuple[Node, ...]:
    match node:
        case Call(arguments=parts) | Every(operands=parts) | Either(operands=parts):
            return parts
        case Not(operand=operand):
            return (operand,)
        case Compare(left=left, right=right):
            return (left, right)
        case OneOf(left=left, values=values):
            return (left, *values)
        case _:
            return ()


def _evaluate(node: Node, names: Mapping[str, str], functions: Mapping[str, Function]) -> Value:
    def value_of(child: Node) -> Value:
        return _evaluate(child, names, functions)

    match node:
        case Literal(value=value):
            return value
        case Name(name=name):
            return names.get(name, "")
        case Call(function=function, arguments=arguments):
            return functions[function]([value_of(argument) for argument in arguments]) if function in functions else ""
        case Not(operand=operand):
            return not truth(value_of(operand))
        case Every(operands=operands):
            return all(truth(value_of(operand)) for operand in operands)
        case Either(operands=operands):
            return any(truth(value_of(operand)) for operand in operands)
        case Compare(left=left, mark=mark, right=right):
            return _compare(value_of(left), mark, value_of(right))
        case _:
            return any(_equal(value_of(node.left), value_of(value)) for value in node.values)


def _compare(left: Value, mark: str, right: Value) -> bool:
    if mark in {"==", "!="}:
        return _equal(left, right) == (mark == "==")
    order = _order(left, right)
    return order is not None and _ORDERS[mark](order)


def _equal(left: Value, right: Value) -> bool:
    """Numbers are compared as numbers only when one is written as such: telephone 0501 is not 501."""
    if isinstance(left, Decimal) or isinstance(right, Decimal):
        first, second = _number(left), _number(right)
        return first is not None and first == second
    return _text(left) == _text(right)


def _order(left: Value, right: Value) -> int | None:
    """Numbers in their order; texts (dates and times are written so) in theirs; None when they do not compare."""
    first, second = _number(left), _number(right)
    if first is not None and second is not None:
        return (first > second) - (first < second)
    if isinstance(left, str) and isinstance(right, str) and left and right:
        return (left > right) - (left < right)
    return None


def _number(value: Value) -> Decimal | None:
    if isinstance(value, Decimal):
        return value
    return Decimal(value) if isinstance(value, str) and _NUMERIC.fullmatch(value) else None


def _text(value: Value) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
