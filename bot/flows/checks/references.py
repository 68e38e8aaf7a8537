"""Names that lead nowhere: states, slots, tools, intents, values and functions that the file does not have."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from difflib import get_close_matches

from bot.flows.edges import edges
from bot.flows.flow import Flow
from bot.flows.functions import ARITY, NEEDS_CALENDAR
from bot.flows.offers import function_name
from bot.flows.problems import Problem, Severity
from bot.flows.source import Path
from bot.flows.states import CallState, CollectState, LlmState, MenuState
from bot.flows.texts import conditions, texts

_NO_TEXT = frozenset({"text", "fin"})


def check_references(flow: Flow) -> Iterator[Problem]:
    """Find names that nothing answers to, and definitions that nothing uses."""
    yield from _targets(flow)
    yield from _definitions(flow)
    yield from _values(flow)
    yield from _functions(flow)
    yield from _doubles(flow)
    yield from _same_functions(flow)
    yield from _unused(flow)


def known_values(flow: Flow) -> frozenset[str]:
    """Give all names that a template or a condition may use."""
    saved = (name for tool in flow.tools.values() for name in tool.save)
    return frozenset((*flow.variables, *flow.slots, *saved))


def _targets(flow: Flow) -> Iterator[Problem]:
    if flow.start not in flow.states:
        yield _unknown("state", flow.start, flow.states, ("start",))
    for name, intent in flow.intents.items():
        if intent.goto is not None and intent.goto not in flow.states:
            yield _unknown("state", intent.goto, flow.states, ("intents", name, "goto"))
    for tone, target in flow.tones.ways():
        if target not in flow.states:
            yield _unknown("state", target, flow.states, ("tones", tone))
    seen: set[Path] = set()
    for edge in edges(flow):
        if edge.target not in flow.states and edge.path not in seen:
            seen.add(edge.path)
            yield _unknown("state", edge.target, flow.states, edge.path)


def _definitions(flow: Flow) -> Iterator[Problem]:
    for name, state in flow.states.items():
        match state:
            case CollectState(collect=slot, also=also):
                for index, other in enumerate(also):
                    yield from _also(flow, slot, other, ("states", name, "also", index))
                if slot not in flow.slots:
                    yield _unknown("slot", slot, flow.slots, ("states", name, "collect"))
            case CallState(call=tool) if tool not in flow.tools:
                yield _unknown("tool", tool, flow.tools, ("states", name, "call"))
            case MenuState():
                yield from _choices(flow, state, ("states", name))
            case LlmState():
                yield from _given_to_llm(flow, state, ("states", name, "llm"))
            case _:
                pass


def _choices(flow: Flow, state: MenuState, path: Path) -> Iterator[Problem]:
    for index, other in enumerate(state.also):
        yield from _also(flow, "", other, (*path, "also", index))
    for index, choice in enumerate(state.menu):
        if choice.intent not in flow.intents:
            yield _unknown("intent", choice.intent, flow.intents, (*path, "menu", index, "intent"))


def _given_to_llm(flow: Flow, state: LlmState, path: Path) -> Iterator[Problem]:
    for index, tool in enumerate(state.llm.tools):
        if tool not in flow.tools:
            yield _unknown("tool", tool, flow.tools, (*path, "tools", index))
    for index, name in enumerate(state.llm.slots):
        slot = flow.slots.get(name)
        if slot is None:
            yield _unknown("slot", name, flow.slots, (*path, "slots", index))
        elif slot.confirm is not None:
            what = f"the language model would fill {name!r} without having it confirmed"
            yield Problem("unconfirmed-by-llm", what, "Collect it in a state of its own.", (*path, "slots", index))


def _also(flow: Flow, slot: str, other: str, path: Path) -> Iterator[Problem]:
    if other not in flow.slots:
        yield _unknown("slot", other, flow.slots, path)
    elif other == slot or flow.slots[other].type in _NO_TEXT:
        what = f"`also` cannot take {other!r} from the same sentence"
        yield Problem("also", what, "Name another slot, of a type that is recognised within a sentence.", path)


def _values(flow: Flow) -> Iterator[Problem]:
    known = known_values(flow)
    for path, names in [
        *((path, text.names()) for path, text in texts(flow)),
        *((path, condition.names()) for path, condition in conditions(flow)),
    ]:
        for name in sorted(names - known):
            yield _unknown("value", name, known, path)


def _functions(flow: Flow) -> Iterator[Problem]:
    for path, condition in conditions(flow):
        for name, count in condition.calls():
            if name not in ARITY:
                yield _unknown("function", name, ARITY, path)
            elif count != ARITY[name]:
                what = f"{name}() takes {ARITY[name]} arguments and is given {count}"
                yield Problem("arguments", what, "Correct the condition.", path)
            elif name in NEEDS_CALENDAR and flow.calendar is None:
                yield Problem("no-calendar", f"{name}() needs opening hours", "Add `calendar` to the flow.", path)


def _doubles(flow: Flow) -> Iterator[Problem]:
    places: list[tuple[str, Path]] = [(name, ("variables", name)) for name in flow.variables]
    places += [(name, ("slots", name)) for name in flow.slots]
    places += [(name, ("tools", tool, "save", name)) for tool, spec in flow.tools.items() for name in spec.save]
    first: dict[str, Path] = {}
    for name, path in places:
        kind = first.setdefault(name, path)
        if kind[0] != path[0]:
            what = f"{name!r} is the name of two values"
            yield Problem("double-name", what, "Rename one: templates could not tell them apart.", path)


def _same_functions(flow: Flow) -> Iterator[Problem]:
    """Find names that a language model could not tell apart: its functions have Latin letters only."""
    for section, names in (("intents", flow.intents), ("slots", flow.slots), ("tools", flow.tools)):
        first: dict[str, str] = {}
        for name in names if flow.engine != "rules" else ():
            other = first.setdefault(function_name("", name), name)
            if other != name:
                what = f"{name!r} and {other!r} are one name in Latin letters, as a language model has them"
                yield Problem("same-function", what, "Rename one.", (section, name))


def _unused(flow: Flow) -> Iterator[Problem]:
    collected = {state.collect for state in flow.states.values() if isinstance(state, CollectState)}
    called = {state.call for state in flow.states.values() if isinstance(state, CallState)}
    for state in flow.states.values():
        if isinstance(state, LlmState):
            collected |= set(state.llm.slots)
            called |= set(state.llm.tools)
    chosen = {c.intent for state in flow.states.values() if isinstance(state, MenuState) for c in state.menu}
    chosen |= {name for name, intent in flow.intents.items() if intent.is_global}
    for section, defined, used in (
        ("slots", flow.slots, collected),
        ("tools", flow.tools, called),
        ("intents", flow.intents, chosen),
    ):
        for name in defined:
            if name not in used:
                what = f"nothing uses {name!r} of `{section}`"
                yield Problem("unused", what, "Remove it, or use it.", (section, name), Severity.WARNING)


def _unknown(kind: str, name: str, known: Collection[str], path: Path) -> Problem:
    near = get_close_matches(name, known, n=1)
    remedy = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(sorted(known)) or 'none'}."
    return Problem(f"unknown-{kind}", f"there is no {kind} {name!r}", remedy, path)
