"""The handlers behind a compiled flow: `compile_flow` gives the config, this what it calls, so that Pipecat runs both.

`decide`, `call` and `say` states run in the handler of the function that leads to them; slots are checked by the same
parsers as ever, and `{{ }}` places are filled with their filters. Who runs a flow so has no ladders and no keypad:
`FlowEngine` has.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from pipecat.flows import TRANSITION_IN_YAML, FlowConfig, FlowManager
from pipecat.flows import Flow as PipecatFlow
from pipecat.frames.frames import TTSSpeakFrame

from bot.errors import FlowError
from bot.flows import calling
from bot.flows.actions import CallTool, ToolAnswered
from bot.flows.compile import NODES, compile_flow, placeholder
from bot.flows.flow import Flow
from bot.flows.offers import Deed, Offer, choices_of, offers
from bot.flows.run import Run
from bot.flows.states import (
    AnsweredState,
    CallState,
    CollectState,
    DecideState,
    LlmState,
    MenuState,
    SayState,
    TransferState,
)
from bot.flows.templates import Place, Template
from bot.flows.texts import texts
from bot.flows.values import value_from_speech

_MOST_STATES = 50  # without hearing the caller: a ring
_Answer: TypeAlias = tuple[dict[str, str], object]
_Handler: TypeAlias = Callable[..., Coroutine[Any, Any, Any]]


class CompiledCall:
    """One call through a compiled flow. Give `flow` to Pipecat's manager, then `start()`."""

    def __init__(
        self,
        source: Flow,
        *,
        variables: Mapping[str, str],
        opened: Callable[[], datetime],
        call_tool: Callable[[CallTool], Awaitable[ToolAnswered]],
        transfer: Callable[[str], Awaitable[None]],
    ) -> None:
        """`opened` gives the wall clock of Asia/Baku; `transfer` is given the target."""
        self._run = Run(source, variables=variables, opened=opened)
        self._call_tool = call_tool
        self._hand_over = transfer
        compiled = compile_flow(source)
        self.flow = PipecatFlow(
            FlowConfig.model_validate(compiled.config),
            handlers={name: self._handler(name) for name in compiled.handlers},
        )

    async def start(self, manager: FlowManager) -> None:
        """Say the disclosure, run what comes before the first question, and enter its node."""
        flow = self._run.flow
        self._publish(manager)
        await self._say(manager, flow.disclosure)
        await manager.initialize(self.flow.node(await self._walk(manager, flow.start)))

    def _handler(self, name: str) -> _Handler:
        if name == "transfer":
            return self._transfer
        states = self._run.flow.states.values()
        offer = next(found for state in states if (found := offers(self._run.flow, state).get(name)) is not None)
        made = self._filling(offer) if offer.deed is Deed.FILL else self._going(name)
        made.__name__ = name
        made.__doc__ = offer.function.describe
        if offer.deed is Deed.FILL:
            made.__doc__ += f"\n\nArgs:\n    value: {offer.function.value}."
        return made

    def _filling(self, offer: Offer) -> _Handler:
        async def fill(flow_manager: FlowManager, value: str) -> _Answer:
            return await self._fill(flow_manager, offer.name, value)

        return fill

    def _going(self, name: str) -> _Handler:
        async def go(flow_manager: FlowManager) -> _Answer:
            return await self._go(flow_manager, name)

        return go

    async def _fill(self, manager: FlowManager, name: str, written: str) -> _Answer:
        run, here = self._run, manager.current_node or ""
        slot = run.flow.slots[name]
        value = written if written in choices_of(slot) else value_from_speech(slot, written, today=run.today)
        if value is None:
            return {"route": here, "result": "not a value that can be taken: ask again"}, TRANSITION_IN_YAML
        for rejection in slot.rejections:
            if run.holds(rejection.when, {name: value}):
                said = rejection.say.render({**run.values, name: value})
                return {"route": here, "result": f"turned down, say: {said}"}, TRANSITION_IN_YAML
        run.values[name] = value
        self._publish(manager)
        state = run.flow.states[here]
        route = await self._walk(manager, state.then) if isinstance(state, CollectState) else here
        return {"route": route, "result": "noted"}, TRANSITION_IN_YAML

    async def _go(self, manager: FlowManager, name: str) -> _Answer:
        """Follow a function that leads through states without a node, or call a tool in an `llm` state."""
        run, here = self._run, manager.current_node or ""
        state = run.flow.states[here]
        offer = offers(run.flow, state)[name]
        if offer.deed is Deed.CALL:
            return {"route": here, **await self._call(manager, offer.name)}, TRANSITION_IN_YAML
        return {"route": await self._walk(manager, _target(run.flow, state, offer))}, TRANSITION_IN_YAML

    async def _walk(self, manager: FlowManager, name: str) -> str:
        """Run states without a node; gives the node that they lead to."""
        run = self._run
        for _ in range(_MOST_STATES):
            state = run.flow.states[name]
            match state:
                case DecideState(decide=branches):
                    name = next(branch.target for branch in branches if branch.when is None or run.holds(branch.when))
                case AnsweredState(answered=answered):
                    name = answered.human  # Pipecat has a voicemail detector of its own, before the flow
                case SayState(say=say, then=then):
                    await self._say(manager, say)
                    name = then
                case CallState():
                    await self._say(manager, state.say)
                    answer = await self._call(manager, state.call)
                    on = {**run.flow.tools[state.call].on, **state.on}
                    name = on.get(answer["status"]) or on["error"]
                case _:
                    assert isinstance(state, NODES)
                    return name
        raise FlowError(f"the flow runs round at {name!r} without asking the caller anything")

    async def _call(self, manager: FlowManager, name: str) -> dict[str, str]:
        run = self._run
        tool = run.flow.tools[name]
        if lacking := calling.missing(run, tool):
            return {"status": "invalid", "result": f"not called: {', '.join(lacking)} not known yet"}
        await self._say(manager, tool.filler)
        sent = {key: text.render(run.values) for key, text in tool.send.items()}
        answer = await self._call_tool(CallTool(0, name, sent))
        calling.keep(run, tool, answer)
        self._publish(manager)
        saved = {key: run.values[key] for key, kept in tool.save.items() if key in run.values and not kept.pii}
        return {**saved, "status": answer.status}

    async def _transfer(self, action: Mapping[str, Any], flow_manager: FlowManager) -> None:  # noqa: ARG002  # Pipecat's
        state = self._run.flow.states[action["state"]]
        assert isinstance(state, TransferState)
        await self._hand_over(state.transfer.to.render(self._run.values).strip())

    async def _say(self, manager: FlowManager, text: Template | None) -> None:
        if text is not None and (said := text.render(self._run.shown(self._run.values)).strip()):
            await manager.worker.queue_frames([TTSSpeakFrame(said, append_to_context=True)])

    def _publish(self, manager: FlowManager) -> None:
        """Give Pipecat the values of all places of the flow, with their filters."""
        shown = self._run.shown(self._run.values)
        for _, text in texts(self._run.flow):
            for part in text.parts:
                if isinstance(part, Place):
                    manager.state[placeholder(part)] = Template("", (part,)).render(shown)


def _target(flow: Flow, state: object, offer: Offer) -> str:
    """Give where a function of a menu, of an `llm` state or of everywhere leads."""
    if offer.deed is Deed.GLOBAL:
        return flow.intents[offer.name].goto or ""
    if isinstance(state, LlmState):
        return state.then
    assert isinstance(state, MenuState)
    if offer.deed is Deed.CHOOSE:
        return next(choice.then for choice in state.menu if choice.intent == offer.name)
    return (state.yes if offer.deed is Deed.YES else state.no) or ""
