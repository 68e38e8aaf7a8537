from __future__ import annotations

import re

from bot.flows.graph import mermaid
from bot.flows.states import KINDS
from tests.fakes.flows import flow_of

_FLOW = flow_of("""\
variables: {operator: ""}
slots: {n: {ask: Neçə, type: number}}
tools: {t: {http: {method: GET, url: "https://example.com/"}, on: {ok: chat, error: go}}}
tones: {busy: end}
start: who
states:
  gate: {decide: [{if: open() and n < 5 and n > 1 and n != 3 and n != 4, then: menu}, {else: menu}]}
  menu: {say: Buyurun., menu: [{intent: book, dtmf: "1", then: n}]}
  n: {collect: n, then: t}
  t: {call: t}
  chat: {llm: {task: Talk.}, then: said}
  said: {say: Oldu., then: end}
  go: {transfer: {to: "{{ operator }}", on_fail: end}}
  who: {answered: {human: gate, machine: end, fax: end}}
""")


def test_every_state_is_a_node_and_every_way_an_arrow() -> None:
    lines = mermaid(_FLOW).splitlines()
    assert lines[0] == "flowchart TD"
    nodes = [line for line in lines if re.match(r"  s\d+[\[({]", line)]
    assert len(nodes) == len(_FLOW.states)
    assert {kind for kind in (*KINDS, "say") if any(f"<small>{kind}" in node for node in nodes)} == {*KINDS, "say"}
    assert '  s1 -->|"book / 1"| s2' in lines
    assert '  s4 -->|"done<br/>failed"| s5' in lines
    assert '  s6 -.->|"transfer failed"| s8' in lines
    assert '  g0>"human / 0"] -.-> s8' in lines
    assert '  s7 -->|"machine<br/>fax"| s8' in lines
    assert '  g1>"tone busy"] -.-> s8' in lines
    assert '  g3>"no_match"] -.-> s8' in lines  # of the defaults: from everywhere, drawn once
    assert lines[-1] == "  start(( )) --> s7"


def test_ways_between_the_same_two_states_are_one_with_all_its_labels() -> None:
    text = "start: menu\nstates:\n  menu: {say: A, menu: [{intent: book, dtmf: '1', then: end}], yes: end}\n"
    assert '  s0 -->|"book / 1<br/>yes"| s1' in mermaid(flow_of(text)).splitlines()


def test_labels_are_short_and_harmless() -> None:
    (label,) = re.findall(r's0 -->\|"(open.*?)<br/>else"\|', mermaid(_FLOW))
    assert label == "open() and n &lt; 5 and n &gt; 1 and n != 3 a…"
