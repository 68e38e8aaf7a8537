from __future__ import annotations

from bot.flows.texts import conditions, prompts, texts
from tests.fakes.flows import FRAME, flow_of

_BODY = """\
variables: {operator: ""}
slots: {n: {ask: A, type: number, confirm: "{{ n }}", retry: B, rejections: [{if: n > 5, say: C}]}}
tools:
  t: {http: {method: GET, url: "https://example.com/"}, send: {n: "{{ n }}"}, filler: D, on: {ok: end, error: end}}
start: gate
states:
  gate: {decide: [{if: n, then: ask}, {else: ask}]}
  ask: {collect: n, say: E, then: call, no_input: {say: [F], then: go}, no_match: {say: [G], then: go}}
  call: {call: t}
  go: {say: H, transfer: {to: "{{ operator }}", on_fail: end}}
"""


def test_every_template_is_found_at_its_place() -> None:
    found = {path: text.text for path, text in texts(flow_of(_BODY))}
    for path, text in {
        ("disclosure",): "Salam, bu robotdur.",
        ("slots", "n", "retry"): "B",
        ("slots", "n", "rejections", 0, "say"): "C",
        ("tools", "t", "filler"): "D",
        ("tools", "t", "send", "n"): "{{ n }}",
        ("states", "ask", "say"): "E",
        ("states", "ask", "no_input", "say", 0): "F",
        ("states", "ask", "no_match", "say", 0): "G",
        ("states", "go", "transfer", "to"): "{{ operator }}",
    }.items():
        assert found[path] == text


def test_what_is_sent_is_not_said() -> None:
    assert ("tools", "t", "send", "n") not in dict(prompts(flow_of(_BODY)))


def test_conditions_are_found_at_their_places() -> None:
    assert [path for path, _ in conditions(flow_of(_BODY))] == [
        ("slots", "n", "rejections", 0, "if"),
        ("states", "gate", "decide", 0, "if"),
    ]


def test_a_flow_need_not_have_a_disclosure_nor_words_for_errors() -> None:
    frame = FRAME.replace("disclosure: Salam, bu robotdur.\n", "").replace("  on_error: Texniki nasazlıq var.\n", "")
    paths = dict(prompts(flow_of(_BODY, frame=frame)))
    assert ("disclosure",) not in paths
    assert ("defaults", "on_error") not in paths
