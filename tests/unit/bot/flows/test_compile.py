from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pipecat.flows
import pytest
import yaml
from pipecat.flows import Flow as PipecatFlow
from pipecat.flows import FlowConfig

from bot.flows.compile import compile_flow
from bot.flows.loader import LIBRARY, load_flow
from tests.fakes.flows import flow_of

_SCHEMA = json.loads((Path(pipecat.flows.__file__).parent / "flow_config.schema.json").read_text(encoding="utf-8"))

_FLOW = flow_of("""\
persona: Köməkçisən.
variables: {operator: "sip:1@pbx.example"}
slots: {gün: {ask: Hansı gün, type: date, confirm: "{{ gün | date }}?"}}
tools: {t: {http: {method: GET, url: "https://example.com/"}, on: {ok: chat, error: go}}}
start: gate
states:
  gate: {decide: [{if: open(), then: menu}, {else: chat}]}
  menu: {say: Buyurun., menu: [{intent: book, dtmf: "1", then: gün}, {intent: hours, then: t}], yes: menu, no: end}
  gün: {collect: gün, then: t}
  t: {call: t}
  chat: {llm: {task: Talk.}, then: said, on_fail: said}
  said: {say: Oldu., then: gate}
  go: {say: "{{ gün | date }} qoşuram.", transfer: {to: "{{ operator }}", on_fail: end}}
""")


async def _handler(flow_manager: object) -> tuple[object, None]:
    """Stand in for a handler of the application."""
    return {}, None


@pytest.mark.parametrize("path", sorted(LIBRARY.glob("*.flow.yaml")), ids=lambda path: path.name)
def test_the_flows_of_the_library_load_in_pipecat(path: Path) -> None:
    compiled = compile_flow(load_flow(path))
    jsonschema.Draft202012Validator(_SCHEMA).validate(compiled.config)
    config = FlowConfig.from_yaml(yaml.safe_dump(dict(compiled.config), allow_unicode=True))
    flow = PipecatFlow(config, handlers=dict.fromkeys(compiled.handlers, _handler))
    assert flow.initial_node["name"] == compiled.config["initial_node"]


def test_states_between_are_run_by_the_handlers_that_lead_to_them() -> None:
    compiled = compile_flow(_FLOW)
    config = FlowConfig.model_validate(compiled.config)
    assert set(config.nodes) == {"menu", "gün", "chat", "go", "end", "silent_end"}
    assert compiled.handlers == ("choose_hours", "finish", "set_gun", "transfer")
    hours = next(function for function in config.nodes["menu"].functions if function.name == "choose_hours")
    assert sorted(hours.targets()) == ["chat", "go"]
    assert sorted(config.nodes["chat"].functions[0].targets()) == ["chat", "menu"]  # through `said` and `gate`


def test_prompts_keep_their_places_and_confirmations_are_asked_for() -> None:
    config = FlowConfig.model_validate(compile_flow(_FLOW).config)
    assert "Read the value back" in config.nodes["gün"].task_messages[0].content
    assert [action.type for action in config.nodes["go"].pre_actions] == ["tts_say", "function"]
    assert config.nodes["go"].pre_actions[0].extras() == {"text": "{{ v_gun__date }} qoşuram."}
    assert config.nodes["go"].pre_actions[1].extras() == {"state": "go"}
    assert config.nodes["menu"].role_message == "Köməkçisən."
    assert {function.name for function in config.nodes["menu"].functions} == {
        *("choose_book", "choose_hours", "answer_yes", "answer_no"),
    }
    assert [function.name for function in config.global_functions] == ["global_human"]


def test_a_flow_that_begins_silently_begins_at_its_first_node_in_pipecat() -> None:
    assert compile_flow(_FLOW).config["initial_node"] == "menu"


def test_a_flow_without_a_persona_has_no_role_and_rings_of_silent_states_end() -> None:
    flow = flow_of("""\
tools: {t: {http: {method: GET, url: "https://example.com/"}, on: {ok: again, error: again}}}
start: menu
states:
  menu: {say: Buyurun., menu: [{intent: book, then: t}]}
  again: {decide: [{if: open(), then: t}, {else: menu}]}
  t: {call: t}
""")
    config = FlowConfig.model_validate(compile_flow(flow).config)
    assert config.nodes["menu"].role_message is None
    assert config.nodes["menu"].functions[0].targets() == ["menu"]
