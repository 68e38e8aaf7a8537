"""A flow as Pipecat's FlowConfig (pipecat.flows), for those who let a language model route every turn.

States that listen or end become nodes. `decide`, `call` and `say` states run inside the handler of the function that
leads to them, which returns `{"route": <node>}`; the config branches on it, so that all of the graph is in the data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass

from bot.flows.edges import edges
from bot.flows.flow import Flow
from bot.flows.offers import Deed, function_name, offers
from bot.flows.states import CollectState, HangupState, LlmState, MenuState, State, TransferState
from bot.flows.templates import Place, Template

_ROUTER = "Route the caller. Call exactly one function; do not answer yourself."
NODES = (MenuState, CollectState, LlmState, TransferState, HangupState)


@dataclass(frozen=True, slots=True)
class Compiled:
    """The config, ready for JSON or YAML, and the handlers that the application has to supply."""

    config: Mapping[str, object]
    handlers: tuple[str, ...]


def compile_flow(flow: Flow) -> Compiled:
    """Translate a flow; `bot.flows.pipecat_handlers` supplies the handlers."""
    compiler = _Compiler(flow)
    nodes = {name: compiler.node(name, state) for name, state in flow.states.items() if isinstance(state, NODES)}
    start = flow.start if flow.start in nodes else min(compiler.reach(flow.start), key=list(nodes).index)
    config = {"initial_node": start, "nodes": nodes, "global_functions": list(compiler.global_functions())}
    return Compiled(config, tuple(sorted(compiler.handlers)))


class _Compiler:
    """Translates states one by one and notes the handlers on the way."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._after: dict[str, set[str]] = {name: set() for name in flow.states}
        for edge in edges(flow):
            self._after[edge.source].add(edge.target)
        self.handlers: set[str] = set()

    def reach(self, name: str) -> Set[str]:
        """Give the nodes that a state leads to without listening; itself if it is one."""
        found: set[str] = set()
        seen: set[str] = set()
        todo = [name]
        while todo:
            state = todo.pop()
            if isinstance(self._flow.states[state], NODES):
                found.add(state)
            elif state not in seen:
                seen.add(state)
                todo += self._after[state]
        return found

    def node(self, name: str, state: State) -> dict[str, object]:
        """Translate a state that is a node."""
        node: dict[str, object] = {"task_messages": [], "functions": [], "respond_immediately": False}
        if self._flow.persona:
            node["role_message"] = self._flow.persona
        say = getattr(state, "say", None)
        if say is not None:
            node["pre_actions"] = [{"type": "tts_say", "text": _placeholders(say)}]
        match state:
            case MenuState():
                node["task_messages"] = [_task(_ROUTER)]
                node["functions"] = list(self._choices(state))
            case CollectState():
                node |= self._collect(name, state)
            case LlmState():
                node["task_messages"] = [_task(state.llm.task)]
                node["functions"] = list(self._talk(state))
            case TransferState():
                self.handlers.add("transfer")
                hand_over = {"type": "function", "handler": "transfer", "state": name}
                node["pre_actions"] = [*_actions(node), hand_over]
                node["task_messages"] = [_task("The call is being transferred. Say nothing.")]
            case _:
                node["task_messages"] = [_task("The call is over. Say nothing.")]
                node["post_actions"] = [{"type": "end_conversation"}]
        return node

    def global_functions(self) -> Iterator[dict[str, object]]:
        """Translate the global intents that lead somewhere; a language model repeats itself without help."""
        for name, intent in self._flow.intents.items():
            if intent.goto is not None:
                yield self._function(function_name("global", name), intent.describe, intent.goto)

    def _choices(self, state: MenuState) -> Iterator[dict[str, object]]:
        for choice in state.menu:
            name = function_name("choose", choice.intent)
            yield self._function(name, self._flow.intents[choice.intent].describe, choice.then)
        if state.yes is not None:
            yield self._function("answer_yes", "The caller says yes.", state.yes)
        if state.no is not None:
            yield self._function("answer_no", "The caller says no.", state.no)

    def _talk(self, state: LlmState) -> Iterator[dict[str, object]]:
        for offer in offers(self._flow, state).values():
            if offer.deed is Deed.FINISH:
                yield self._function(offer.function.name, offer.function.describe, state.then)
            elif offer.deed in {Deed.FILL, Deed.CALL}:
                self.handlers.add(offer.function.name)
                yield {"name": offer.function.name}

    def _collect(self, name: str, state: CollectState) -> dict[str, object]:
        slot = self._flow.slots[state.collect]
        handler = function_name("set", state.collect)
        self.handlers.add(handler)
        confirm = " Read the value back and have it confirmed first." if slot.confirm is not None else ""
        ask = _placeholders(state.say or slot.ask)
        return {
            "task_messages": [_task(f"Ask: {ask}{confirm} Then call {handler} with what the caller said.")],
            "respond_immediately": True,
            "functions": [{"name": handler, "transition_to": self._branch([state.then, name])}],
        }

    def _function(self, tool: str, describe: str, target: str) -> dict[str, object]:
        if isinstance(self._flow.states[target], NODES):
            return {"name": tool, "transition_only": True, "description": describe, "transition_to": target}
        self.handlers.add(tool)
        return {"name": tool, "transition_to": self._branch([target])}

    def _branch(self, targets: Iterable[str]) -> dict[str, object]:
        nodes = sorted(set[str]().union(*(self.reach(target) for target in targets)))
        return {"field": "route", "cases": {node: node for node in nodes}}


def _task(text: str) -> dict[str, str]:
    return {"role": "developer", "content": text}


def _actions(node: Mapping[str, object]) -> list[object]:
    actions = node.get("pre_actions", [])
    return list(actions) if isinstance(actions, list) else []


def _placeholders(text: Template) -> str:
    return "".join(f"{{{{ {placeholder(part)} }}}}" if isinstance(part, Place) else part for part in text.parts)


def placeholder(place: Place) -> str:
    """Name a place, with its filters, as Pipecat's state knows it: in ASCII, and without filters of its own."""
    return "__".join((function_name("v", place.name), *place.filters))
