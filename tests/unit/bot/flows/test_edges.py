from __future__ import annotations

from bot.flows.edges import Way, edges, ends, listens
from tests.fakes.flows import flow_of

_FLOW = flow_of("""\
variables: {operator: ""}
slots: {n: {ask: A, type: number}}
tools: {t: {http: {method: GET, url: "https://example.com/"}, on: {ok: chat, error: go}}}
start: gate
states:
  gate: {decide: [{if: open(), then: menu}, {else: n}]}
  menu: {say: A, menu: [{intent: book, dtmf: "1", then: n}], yes: n, no: end, no_match: {then: go}}
  n: {collect: n, then: t}
  t: {call: t, on: {conflict: end}}
  chat: {llm: {task: Talk.}, then: go, on_fail: end}
  go: {transfer: {to: "{{ operator }}", on_fail: end}}
""")


def test_every_way_out_of_a_state_is_an_edge() -> None:
    found = [(edge.source, edge.target, edge.way) for edge in edges(_FLOW)]
    assert [(target, way) for source, target, way in found if source == "menu"] == [
        ("n", Way.CHOICE),
        ("n", Way.CHOICE),
        ("end", Way.CHOICE),
        ("silent_end", Way.NO_INPUT),
        ("go", Way.NO_MATCH),
    ]
    assert [(target, way) for source, target, way in found if source == "t"] == [
        ("chat", Way.STATUS),
        ("go", Way.STATUS),
        ("end", Way.STATUS),
    ]
    assert ("chat", "end", Way.FAILURE) in found
    assert ("go", "end", Way.FAILURE) in found
    assert not [edge for edge in found if edge[0] == "end"]


def test_an_edge_knows_where_the_file_names_its_target() -> None:
    paths = {(edge.source, edge.label): edge.path for edge in edges(_FLOW)}
    assert paths["menu", "no_match"] == ("states", "menu", "no_match", "then")
    assert paths["menu", "no_input"] == ("defaults", "no_input", "then")
    assert paths["t", "conflict"] == ("states", "t", "on", "conflict")
    assert paths["t", "ok"] == ("tools", "t", "on", "ok")
    assert paths["gate", "else"] == ("states", "gate", "decide", 1, "else")


def test_states_listen_or_end_or_neither() -> None:
    assert {name for name, state in _FLOW.states.items() if listens(state)} == {"menu", "n", "chat"}
    assert {name for name, state in _FLOW.states.items() if ends(state)} == {"go", "end", "silent_end"}
