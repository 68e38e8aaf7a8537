"""Ways through the flow: states that are never reached, never left, or run round without listening."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from bot.flows.edges import Way, edges, ends, listens
from bot.flows.flow import Flow
from bot.flows.problems import Problem, Severity
from bot.flows.source import Path
from bot.flows.states import CallState, CollectState, LlmState, MenuState


def check_graph(flow: Flow) -> Iterator[Problem]:
    """Follow the edges."""
    ways = _ways(flow)
    reached = _reached(flow, ways)
    for name in flow.states:
        if name not in reached:
            what = f"no way leads to the state {name!r}"
            yield Problem("unreachable", what, "Remove it, or lead there.", ("states", name), Severity.WARNING)
    finite = _that_end(flow, ways)
    for name in flow.states:
        if name not in finite:
            what = f"no way leads from the state {name!r} to the end of the call"
            yield Problem("no-way-to-end", what, "Lead to a state with `hangup` or `transfer`.", ("states", name))
    yield from _ladders(flow)
    yield from _cycles(flow)


def _ways(flow: Flow) -> Mapping[str, Set[str]]:
    ways: dict[str, set[str]] = {name: set() for name in flow.states}
    for edge in edges(flow):
        if edge.target in ways:
            ways[edge.source].add(edge.target)
    goals = {intent.goto for intent in flow.intents.values() if intent.goto and intent.goto in ways}
    for name, state in flow.states.items():
        if listens(state):
            ways[name] |= goals
    return ways


def _reached(flow: Flow, ways: Mapping[str, Set[str]]) -> Set[str]:
    reached: set[str] = set()
    todo = [flow.start, *(target for _, target in flow.tones.ways())]
    while todo:
        name = todo.pop()
        if name in ways and name not in reached:
            reached.add(name)
            todo += ways[name]
    return reached


def _that_end(flow: Flow, ways: Mapping[str, Set[str]]) -> Set[str]:
    finite = {name for name, state in flow.states.items() if ends(state)}
    while more := {name for name, targets in ways.items() if name not in finite and targets & finite}:
        finite |= more
    return finite


def _ladders(flow: Flow) -> Iterator[Problem]:
    """Find states that listen and do not say what follows silence or what is not understood."""
    for name, state in flow.states.items():
        if not isinstance(state, (MenuState, CollectState, LlmState)):
            continue
        path: Path = ("states", name)
        if (state.no_input or flow.defaults.no_input) is None:
            what = f"the state {name!r} does not say what follows when the caller says nothing"
            yield Problem("no-no-input", what, "Add `no_input` to it or to `defaults`.", path)
        if not isinstance(state, LlmState) and (state.no_match or flow.defaults.no_match) is None:
            what = f"the state {name!r} does not say what follows when the caller is not understood"
            yield Problem("no-no-match", what, "Add `no_match` to it or to `defaults`.", path)
    for edge in edges(flow):
        if edge.way in {Way.NO_INPUT, Way.NO_MATCH} and edge.source == edge.target and edge.path[0] == "states":
            what = f"`{edge.way.value}` of {edge.source!r} leads back to it, so that a silent caller never leaves"
            yield Problem("ladder-to-itself", what, "Lead to another state.", edge.path, Severity.WARNING)


def _cycles(flow: Flow) -> Iterator[Problem]:
    """Find rings of states that never listen; with a tool in them they may end, without one they cannot."""
    silent = {name for name, state in flow.states.items() if not listens(state) and not ends(state)}
    ways: dict[str, set[str]] = {name: set() for name in silent}
    for edge in edges(flow):
        if edge.source in silent and edge.target in silent:
            ways[edge.source].add(edge.target)
    reported: set[str] = set()
    for name in flow.states:
        if name in silent and name not in reported and name in (ring := _after(name, ways)):
            members = {other for other in ring if name in _after(other, ways)}
            reported |= members
            has_tool = any(isinstance(flow.states[other], CallState) for other in members)
            yield Problem(
                "silent-cycle",
                f"the states {', '.join(sorted(members))} can run round without listening to the caller",
                "Listen in one of them, or lead out.",
                ("states", name),
                Severity.WARNING if has_tool else Severity.ERROR,
            )


def _after(name: str, ways: Mapping[str, Set[str]]) -> Set[str]:
    """Give the states that can follow a state, itself only if it can come back."""
    found: set[str] = set()
    todo = list(ways[name])
    while todo:
        following = todo.pop()
        if following not in found:
            found.add(following)
            todo += ways[following]
    return found
