"""Benches, GPU scripts and the rest of what no test runs: whatever they import of ours is there.

Read, not run: what they need besides (vLLM, Triton, a GPU) is in few environments.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("bot", "telephony", "tts_engine", "finetune", "tests")
PLACES = ("finetune", "tests/bench", "tests/fuzz", "tests/gpu", "tests/integration", "tests/fakes")
SCRIPTS = sorted(path for place in PLACES for path in (ROOT / place).rglob("*.py") if not path.name.startswith("test_"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def file_of(module: str) -> Path | None:
    """The file of a module of ours, or the folder of a package without one."""
    place = ROOT / module.replace(".", "/")
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py", place) if path.exists()), None)


@cache
def names_in(path: Path) -> frozenset[str]:
    """What a module binds, in any branch of its top level: functions, classes, variables and imports."""
    names: set[str] = set()
    open_: list[ast.AST] = [ast.parse(path.read_text("utf-8"))] if path.is_file() else []
    while open_:
        for node in ast.iter_child_nodes(open_.pop()):
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    names.add(name)
                case ast.Name(id=name, ctx=ast.Store()):
                    names.add(name)
                case ast.alias(name=name, asname=other):
                    names.add(other or name.partition(".")[0])
                case _:
                    open_.append(node)
    return frozenset(names)


def missing(source: str) -> Iterator[str]:
    """Each name that a text imports of ours, or takes from a module of ours, and that is not there."""
    tree = ast.parse(source)
    modules: dict[str, str] = {}  # as they are called here
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                wanted = [alias.name for alias in names if alias.name.partition(".")[0] in OURS]
                yield from (name for name in wanted if file_of(name) is None)
            case ast.ImportFrom(module=str(module), names=names) if module.partition(".")[0] in OURS:
                file = file_of(module)
                for name in names:
                    if file_of(f"{module}.{name.name}"):
                        modules[name.asname or name.name] = f"{module}.{name.name}"
                    elif file is None or name.name not in names_in(file):
                        yield f"{module}.{name.name}"
            case _:
                pass
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=called), attr=name) if called in modules:
                file = file_of(modules[called])
                known = file is None or name.startswith("__") or name in names_in(file)
                if not known and not file_of(f"{modules[called]}.{name}"):
                    yield f"{modules[called]}.{name}"
            case _:
                pass


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_what_a_script_imports_of_ours_is_there(path: Path) -> None:
    assert not sorted(missing(path.read_text("utf-8")))


def test_what_has_moved_away_is_found_missing() -> None:
    moved = (
        "import bot.nowhere\nfrom bot.nowhere import a\nfrom bot.turns import nothing\nfrom bot import turns\nturns.no"
    )
    assert sorted(missing(moved)) == ["bot.nowhere", "bot.nowhere.a", "bot.turns.no", "bot.turns.nothing"]
