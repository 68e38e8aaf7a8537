"""What of vLLM this plugin leans on, by its names; a version in which it is otherwise is refused with all that differs.

Knows nothing of vLLM: classes and functions come from those that do. Names can be told at start-up for nothing; what
stands behind them is compared by hand when a version is added (docs/voice.md).
"""

from __future__ import annotations

import dis
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any


def check(version: str, faults: Iterable[str]) -> None:
    """Raise RuntimeError with all faults, if there are any."""
    if told := "; ".join(faults):
        raise RuntimeError(f"vLLM {version} is not what CSM was written for: {told} (docs/voice.md, In vLLM)")


def otherwise_called(expected: Mapping[Callable[..., Any], tuple[str, ...]], *, more: bool = False) -> list[str]:
    """Name functions whose parameters are not those; with `more`, others may follow them."""
    faults: list[str] = []
    for function, names in expected.items():
        found = tuple(inspect.signature(function).parameters)
        if (found[: len(names)] if more else found) != names:
            faults.append(f"{function.__qualname__} takes ({', '.join(found)}), not ({', '.join(names)})")
    return faults


def missing(owner: str, found: Collection[str], wanted: Iterable[str]) -> list[str]:
    """Name what an object has not."""
    lacking = [name for name in wanted if name not in found]
    return [f"{owner} has no {', '.join(lacking)}"] if lacking else []


def unknown(owner: str, found: Iterable[str], known: Collection[str]) -> list[str]:
    """Name what an object has, or a function sets, that was not there when it was compared."""
    new = sorted(set(found) - set(known))
    return [f"{owner} has {', '.join(new)} besides"] if new else []


def attributes(kind: type) -> set[str]:
    """Return names of a class and of what its constructor sets on an instance."""
    return {*dir(kind), *_set_by(kind.__init__)}


def attributes_set(kind: type, *methods: str) -> set[str]:
    """Return names of the attributes that methods set, on whatever, here or in the classes it inherits from."""
    functions = [each.__dict__[name] for each in kind.__mro__ for name in methods if name in each.__dict__]
    return set[str]().union(*map(_set_by, functions))


def _set_by(function: Callable[..., Any]) -> set[str]:
    return {each.argval for each in dis.get_instructions(function) if each.opname == "STORE_ATTR"}
