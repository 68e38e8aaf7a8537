"""Forty and more mistakes, one at a time in a flow without any; each must be found, at its line."""

from __future__ import annotations

import pytest

from bot.flows.loader import read_flow
from bot.flows.problems import Severity

_CLEAN = """\
version: 1
id: klinika
engine: rules
persona: Köməkçisən.
disclosure: Salam, mən robotam.
variables: {operator: "sip:200@pbx.example"}
calendar: {hours: {mon-fri: "09:00-18:00", sat: "10:00-14:00"}, closed: [2026-12-31]}
defaults:
  no_input: {after_s: 6, say: [Eşitmədim.], then: bye}
  no_match: {say: [Başa düşmədim.], then: bye}
  on_error: Nasazlıq var.
intents:
  book: {describe: Wants to book., phrases: [qəbula yazılmaq]}
  hours: {describe: Asks for hours., phrases: [iş saatları]}
  human: {describe: Wants a person., phrases: [operator], global: true, goto: transfer, dtmf: "0"}
slots:
  phone: {ask: Nömrə., type: phone_az, confirm: "{{ phone | digits }}, düzdür?", dtmf: {min: 9, max: 10}, pii: true}
  day:
    ask: Hansı gün.
    type: date
    rejections: [{if: not open_on(day), say: "{{ day | date }} bağlıyıq."}]
  city: {ask: Şəhər., type: enum, values: {baki: {phrases: [bakı], dtmf: 1}, gence: {phrases: [gəncə], dtmf: 2}}}
tools:
  booking:
    describe: Book.
    http: {method: POST, url: "https://example.com/v1", timeout_s: 4, retries: 1, auth: env:TOKEN}
    send: {phone: "{{ phone }}", day: "{{ day }}"}
    save: {id: $.id}
    on: {ok: done, conflict: day, error: sorry}
start: gate
states:
  gate: {decide: [{if: open(), then: menu}, {else: closed}]}
  closed: {say: Bağlıyıq., then: bye}
  menu:
    say: Buyurun.
    menu:
      - {intent: book, dtmf: "1", then: day}
      - {intent: hours, dtmf: "2", then: closed}
  day: {collect: day, then: city}
  city: {collect: city, then: phone}
  phone: {collect: phone, then: book}
  book: {call: booking}
  done: {say: "Nömrə {{ id }}.", then: bye}
  sorry: {say: Alınmadı., then: bye}
  transfer: {say: Qoşuram., transfer: {to: "{{ operator }}", on_fail: sorry}}
  bye: {say: Sağ olun., hangup: normal}
"""

_MUTE = "global: true, goto: transfer"
# (what is written instead of what, the code of the problem, the text of its line, is it an error)
_SEEDS = [
    ("then: closed}", "then: clsed}", "unknown-state", "clsed", True),
    ("start: gate", "start: gatee", "unknown-state", "start: gatee", True),
    ("goto: transfer", "goto: nobody", "unknown-state", "nobody", True),
    ("ok: done", "ok: doen", "unknown-state", "doen", True),
    ("on_fail: sorry", "on_fail: sory", "unknown-state", "sory", True),
    ("[Eşitmədim.], then: bye}", "[Eşitmədim.], then: by}", "unknown-state", "by}", True),
    ("collect: phone", "collect: fone", "unknown-slot", "fone", True),
    ("collect: day,", "collect: day, also: [tme],", "unknown-slot", "tme", True),
    ("collect: day,", "collect: day, also: [day],", "also", "also: [day]", True),
    ("say: Buyurun.", "say: Buyurun.\n    also: [tme]", "unknown-slot", "tme", True),
    ("call: booking", "call: bookin", "unknown-tool", "bookin}", True),
    ("intent: hours", "intent: horus", "unknown-intent", "horus", True),
    ("Nömrə {{ id }}.", "Nömrə {{ idd }}.", "unknown-value", "idd", True),
    ('phone: "{{ phone }}", day', 'phone: "{{ fone }}", day', "unknown-value", "fone", True),
    ("not open_on(day)", "not open_on(dya)", "unknown-value", "dya", True),
    ("if: open()", "if: opened()", "unknown-function", "opened", True),
    ("if: open()", "if: open(1)", "arguments", "open(1)", True),
    ("open_on(day)", "open_on(", "value-error", "open_on(", True),
    ("{{ day | date }}", "{{ day | dat }}", "value-error", "| dat }}", True),
    ("{{ day | date }}", "{{ day", "value-error", "{{ day b", True),
    ("calendar: {hours: {mon-fri", "# {hours: {mon-fri", "no-calendar", "open_on(day)", True),
    ("save: {id: $.id}", "save: {day: $.id}", "double-name", "day: $.id", True),
    ('dtmf: "2", then', 'dtmf: "1", then', "double-key", 'dtmf: "1", then: closed', True),
    ('dtmf: "2", then', 'dtmf: "0", then', "double-key", 'dtmf: "0", then: closed', True),
    ("dtmf: 2}", "dtmf: 1}", "double-key", "gence", True),
    ("phrases: [gəncə]", "phrases: [bakı]", "ambiguous-phrase", "gence", True),
    ("[iş saatları]", "[qəbula yazılmaq]", "ambiguous-phrase", "intent: hours", True),
    ("[iş saatları]", "[bəli]", "answer-as-phrase", "bəli", True),
    ("[iş saatları]", '["*"]', "value-error", '["*"]', True),
    ("intent: hours, dtmf: \"2\"", "intent: hours", "unreachable-choice-without", "", True),
    ("intent: hours", "intent: book", "double-choice", "intent: book, dtmf: \"2\"", True),
    ("bye: {say: Sağ olun., hangup: normal}", "bye: {say: Sağ olun., then: bye}", "no-way-to-end", "bye: {", True),
    ("start: gate", "tones: {fax: nowhere}\nstart: gate", "unknown-state", "tones: {fax", True),
    (
        "closed: {say: Bağlıyıq., then: bye}",
        "closed: {answered: {human: bye, machine: bye, fax: bye}}",
        "late-answered",
        "closed: {answered",
        True,
    ),
    (
        "closed: {say: Bağlıyıq., then: bye}",
        "closed: {answered: {human: bye, fax: bye}}",
        "value-error",
        "closed: {answered",
        True,
    ),
    (
        "closed: {say: Bağlıyıq., then: bye}",
        "closed: {answered: {human: bye, machine: bye, recording: bye, fax: bye}}",
        "value-error",
        "closed: {answered",
        True,
    ),
    ("closed: {say: Bağlıyıq., then: bye}", "closed: {say: Bağlıyıq., then: gate}", "silent-cycle", "gate: {", True),
    ("error: sorry}", "error: book}", "silent-cycle", "book: {call", False),
    ("  sorry: {", "  lost: {say: A, then: bye}\n  sorry: {", "unreachable", "lost", False),
    ("  no_match: {say: [Başa düşmədim.], then: bye}\n", "", "no-no-match", "menu:", True),
    ("  no_input: {after_s: 6, say: [Eşitmədim.], then: bye}\n", "", "no-no-input", "menu:", True),
    ("say: Buyurun.", "say: A\n    no_input: {then: menu}", "ladder-to-itself", "{then: menu}", False),
    ('to: "{{ operator }}"', 'to: "{{ phone }}"', "target-from-call", '"{{ phone }}", on_fail', True),
    ("https://example.com", "http://example.com", "cleartext-http", "http://", False),
    ("https://example.com", "http://example.com", "cleartext-secret", "env:TOKEN", True),
    ("https://example.com", "https://{{ phone }}.com", "value-error", "{{ phone }}.com", True),
    ("https://example.com", "ftp://example.com", "value-error", "ftp", True),
    ("https://example.com", "https://user:pw@example.com", "value-error", "user", True),
    ("https://example.com", "https://example.com:99999", "value-error", "99999", True),
    ("method: POST", "method: GET", "pii-in-url", 'phone: "{{ phone }}"', False),
    ("method: POST", "method: DELETE", "pii-in-url", 'phone: "{{ phone }}"', False),
    ("auth: env:TOKEN", "auth: s3cret", "string-pattern-mismatch", "s3cret", True),
    ("conflict: day", "konflikt: day", "unknown-status", "konflikt", True),
    ("conflict: day, error: sorry", "conflict: day", "value-error", "booking:", True),
    ("book: {call: booking}", "book: {call: booking, on: {nope: bye}}", "unknown-status", "nope", True),
    ('mon-fri: "09:00-18:00", sat', 'mon-fri: "09:00-18:00", fri', "double-day", "fri:", True),
    ('mon-fri: "09:00-18:00"', 'mon-fri: "18:00-09:00"', "value-error", "18:00-09", True),
    ("disclosure: Salam, mən robotam.\n", "", "no-disclosure", "version", False),
    ("{{ phone | digits }}, düzdür?", "Düzdür?", "blind-confirm", "confirm", False),
    ('confirm: "{{ phone | digits }}, düzdür?", ', "", "unconfirmed", "phone: {ask", False),
    ("type: date", "type: date\n    min: 5", "value-error", "day:", True),
    ("type: date\n    rej", "type: enum\n    rej", "value-error", "day:", True),
    ("type: date", "type: datum", "literal-error", "datum", True),
    ("min: 9, max: 10", "min: 11, max: 10", "value-error", "min: 11", True),
    ("say: Bağlıyıq.", "say: ''", "empty-prompt", "closed", True),
    ("say: Bağlıyıq.", f"say: {'a' * 301}", "long-prompt", "aaa", False),
    ("intents:\n", "intents:\n  spare: {describe: Not used., phrases: [boş]}\n", "unused", "spare", False),
    ("menu:\n    say", "menu:\n    hangup: normal\n    say", "state-kind", "menu:", True),
    ("{else: closed}", "{if: open(), then: closed}", "value-error", "decide", True),
    ("{else: closed}", "{if: open()}", "value-error", "if: open()}", True),
    ("hangup: normal", "hangup: normal, sya: Salam", "extra-forbidden", "sya", True),
    ("day: {collect: day, then: city}", "day: {collect: day}", "missing", "collect: day}", True),
    ("  day: {collect", "  day: {say: A, then: bye}\n  day: {collect", "duplicate-key", "day: {collect", True),
    ("engine: rules", "include: [nothing]", "unknown-include", "nothing", True),
    ("describe: Asks for hours., ", "describe: Asks for hours., goto: bye, ", "value-error", "goto: bye", True),
    ("global: true, goto: transfer", "global: true", "value-error", "human", True),
    ("phrases: [operator], global: true, goto: transfer, dtmf: \"0\"", _MUTE, "unreachable-intent", "human", True),
    ("  sorry: {", "  chat: {llm: {task: Talk.}, then: bye}\n  sorry: {", "llm-without-model", "chat", True),
    ("version: 1", "version: 2", "literal-error", "version: 2", True),
    ("say: Buyurun.", "say: # Buyurun.", "no-value", "say: #", True),
    ("hangup: normal", "hangup:", "no-value", "hangup:}", True),
    ("say: Buyurun.", 'say: "{% if id %}A{% endif %}"', "braces", "{% if", True),
    ("say: Buyurun.", 'say: "{ id } buyurun."', "braces", "{ id }", True),
    ("    say: Buyurun.\n", "", "silent-menu", "menu:", False),
    ("  sorry: {", "  c: {llm: {task: T., slots: [phone]}, then: bye}\n  sorry: {", "unconfirmed-by-llm", "c:", True),
    ("  sorry: {", "  chat: {llm: {task: T., slots: [fone]}, then: bye}\n  sorry: {", "unknown-slot", "fone", True),
    ("  sorry: {", "  chat: {llm: {task: T., tools: [bok]}, then: bye}\n  sorry: {", "unknown-tool", "bok]", True),
    ("timeout_s: 4", "timeout_s: 4s", "float-parsing", "4s", True),
    ("retries: 1", "retries: 10", "less-than-equal", "retries: 10", True),
    ("phrases: [bakı]", "phrases: bakı", "tuple-type", "phrases: bakı", True),
    ("say: Buyurun.", "say: [Buyurun.]", "value-error", "[Buyurun.]", True),
    ('dtmf: "2"', "dtmf: 12", "string-pattern-mismatch", "dtmf: 12", True),
    ("  sorry: {", "  so-sorry: {", "string-pattern-mismatch", "so-sorry", True),
    ("id: klinika", "id: Klinika", "string-pattern-mismatch", "id: Klinika", True),
    ("save: {id: $.id}", "save: {id: id}", "string-pattern-mismatch", "id: id", True),
    ("transfer: {to: \"{{ operator }}\", on_fail: sorry}", "transfer: sip:1", "model-type", "sip:1", True),
    ('to: "{{ operator }}"', 'to: "200"', "no-sip-address", 'to: "200"', True),
    ("pii: true", "pii: maybe", "bool-parsing", "maybe", True),
    ("closed: [2026-12-31]", "closed: [31.12.2026]", "date-from-datetime-parsing", "31.12.2026", True),
    ("mon-fri", "mo-fr", "string-pattern-mismatch", "mo-fr", True),
    ("engine: rules", "engine: rulez", "literal-error", "rulez", True),
    ("disclosure: Salam,", "\tdisclosure: Salam,", "yaml", "disclosure", True),
    ("disclosure: Salam,", "disclosure: Salam: men,", "yaml", "disclosure", True),
    ("engine: rules", "engine: &e rules", "alias", "&e", True),
]  # fmt: skip


def _problems(text: str) -> list[tuple[str, Severity, int]]:
    return [(problem.code, problem.severity, problem.line) for problem in read_flow(text, file="f.yaml")[1]]


def test_the_flow_that_the_mistakes_are_put_into_has_none() -> None:
    flow, problems = read_flow(_CLEAN, file="f.yaml")
    assert flow is not None
    assert problems == []


def test_there_are_at_least_forty_kinds_of_mistakes() -> None:
    assert len(_SEEDS) >= 40


@pytest.mark.parametrize(
    ("old", "new", "code", "at", "is_error"), _SEEDS, ids=[f"{s[2]}-{n}" for n, s in enumerate(_SEEDS)]
)
def test_each_mistake_is_found_at_its_line(old: str, new: str, code: str, at: str, is_error: bool) -> None:
    assert old in _CLEAN
    text = _CLEAN.replace(old, new, 1)
    if code == "unreachable-choice-without":
        text, code, at = text.replace("phrases: [iş saatları]", "phrases: []"), "unreachable-choice", "intent: hours"
    found = [problem for problem in read_flow(text, file="f.yaml")[1] if problem.code == code]
    assert found, _problems(text)
    assert all((problem.severity is Severity.ERROR) == is_error for problem in found)
    assert all(problem.remedy and problem.message for problem in found)
    lines = text.splitlines()
    assert any(at in lines[problem.line - 1] for problem in found), [lines[p.line - 1] for p in found]


def test_a_near_name_is_suggested() -> None:
    (problem,) = (
        p for p in read_flow(_CLEAN.replace("call: booking", "call: bookin"), file="f")[1] if p.code == "unknown-tool"
    )
    assert problem.remedy == "Did you mean 'booking'?"


@pytest.mark.parametrize(
    ("old", "new", "remedy"),
    [
        ("engine: rules", "engine: rulez", "Did you mean rules?"),
        ("engine: rules", "engine: gpt", "Use one of them."),
        (
            "say: Buyurun.",
            "sya: Buyurun.",
            "Did you mean 'say'? Remove the key, or correct its spelling or indentation.",
        ),
        ("say: Buyurun.", "zzzz: Buyurun.", "Remove the key, or correct its spelling or indentation."),
        ("say: Buyurun.", "task: Buyurun.", "Remove the key, or correct its spelling or indentation."),
        ("timeout_s: 4", "timeout_s: 4s", "Write a number without a unit, such as 5 or 2.5."),
        ('dtmf: "2"', 'dtmf: "ab"', "Write one of 0 to 9, * and #, in quotes."),
        ("conflict: day", "Conflict: day", "Use ok, invalid, denied, not_found, conflict, busy or error."),
        ("if: open()", "if: open() = 1", "Use names, 'texts', numbers,"),
        ("phrases: [bakı]", "phrases: bakı", "Write a list: [a, b], or a line with `- ` for each."),
        ("retries: 1", "retries: 10", "Change the number."),
    ],
)
def test_the_remedy_says_what_to_write(old: str, new: str, remedy: str) -> None:
    remedies = [problem.remedy for problem in read_flow(_CLEAN.replace(old, new, 1), file="f.yaml")[1]]
    assert any(found.startswith(remedy) for found in remedies), remedies


def test_more_than_six_choices_are_too_many() -> None:
    intents = "".join(f"  i{n}: {{describe: D., phrases: [söz{'a' * n}]}}\n" for n in range(7))
    choices = "".join(f"      - {{intent: i{n}, then: day}}\n" for n in range(7))
    text = _CLEAN.replace("slots:\n", f"{intents}slots:\n").replace("    menu:\n", f"    menu:\n{choices}")
    assert "long-menu" in {code for code, _, _ in _problems(text)}


def test_what_an_unknown_engine_could_understand_is_only_warned_about() -> None:
    text = _CLEAN.replace("engine: rules", "engine: hybrid").replace("phrases: [iş saatları]", "phrases: []")
    text = text.replace('intent: hours, dtmf: "2"', "intent: hours")
    assert _problems(text) == [("unreachable-choice", Severity.WARNING, 38)]


def test_number_ranges_that_run_backwards_are_found() -> None:
    text = _CLEAN.replace("  city: {ask", "  n: {ask: A, type: number, min: 5, max: 1}\n  city: {ask").replace(
        "then: city}", "then: n}\n  n: {collect: n, then: city}"
    )
    assert [code for code, _, _ in _problems(text)] == ["range"]


def test_names_that_are_the_same_in_latin_letters_are_one_to_a_language_model() -> None:
    again = "  hoürs: {describe: D., phrases: [başqa söz], global: true, repeat: true}\n"
    text = _CLEAN.replace("intents:\n", f"intents:\n{again}")
    assert _problems(text) == []
    assert [code for code, _, _ in _problems(text.replace("engine: rules", "engine: hybrid"))] == ["same-function"]


def test_a_personal_value_of_a_tools_answer_is_personal_in_a_url_too() -> None:
    text = _CLEAN.replace("method: POST", "method: GET").replace('phone: "{{ phone }}"', 'name: "{{ id }}"')
    assert "pii-in-url" not in [code for code, _, _ in _problems(text)]
    text = text.replace("save: {id: $.id}", "save: {id: {path: $.id, pii: true}}")
    assert "pii-in-url" in [code for code, _, _ in _problems(text)]
