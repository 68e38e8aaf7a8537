"""The rules of the house that no linter knows: docs/architecture.md and the style it follows."""

from __future__ import annotations

import ast
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("bot", "telephony", "tts_engine", "finetune")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
_MAX_LINES, _MEDIAN_LINES, _MAX_PUBLIC_METHODS = 400, 150, 16
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
_FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef
_ASSERTING = {"raises", "warns", "fail"}  # of pytest
_BANNED_NAMES = {"utils", "util", "common", "helpers", "helper", "manager", "misc"}


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _classes(path: Path) -> list[ast.ClassDef]:
    return [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.ClassDef)]


def test_no_module_is_longer_than_a_sitting() -> None:
    long = {_name(path): n for path in MODULES if (n := len(path.read_text("utf-8").splitlines())) > _MAX_LINES}
    assert not long


def test_most_modules_are_short() -> None:
    assert statistics.median(len(path.read_text("utf-8").splitlines()) for path in MODULES) <= _MEDIAN_LINES


def test_no_module_is_a_drawer_for_odds_and_ends() -> None:
    assert not [_name(path) for path in MODULES if path.stem in _BANNED_NAMES or path.stem.startswith("base_")]


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_module_says_what_it_is_for_and_its_classes_do_one_thing(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    assert ast.get_docstring(tree), "no docstring"
    for class_ in _classes(path):
        public = [
            node.name
            for node in class_.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and not node.name.startswith("_")
            and not any(isinstance(mark, ast.Name) and mark.id == "property" for mark in node.decorator_list)
        ]
        assert len(public) <= _MAX_PUBLIC_METHODS, f"{class_.name} has {len(public)} public methods"


def _may_fail(test: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether it asserts, asks pytest to, or calls a function that says by its name that it does."""

    def asserts(node: ast.AST) -> bool:
        if not isinstance(node, ast.Call):
            return isinstance(node, ast.Assert)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        return name in _ASSERTING or name.startswith(("assert_", "expect_", "check"))

    return any(map(asserts, ast.walk(test)))


def test_every_test_asserts_something() -> None:
    assert not {
        f"{_name(path)}::{node.name}"
        for path in TESTS
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, _FUNCTION) and node.name.startswith("test_") and not _may_fail(node)
    }
