"""What is said and heard: phrases and keys that clash, choices that cannot be made, prompts that are too long."""

from __future__ import annotations

from collections.abc import Iterator

from bot.flows.flow import Flow, Intent
from bot.flows.problems import Problem, Severity
from bot.flows.slots import Slot
from bot.flows.source import Path
from bot.flows.states import AnsweredState, LlmState, MenuState
from bot.flows.templates import Template
from bot.flows.texts import prompts
from bot.language.inverse.answers import parse_yes_no

_LONGEST_PROMPT = 300  # characters: about twenty seconds
_MOST_CHOICES = 6


def check_speech(flow: Flow) -> Iterator[Problem]:
    """Look at menus, slots, phrases and prompts."""
    for name, state in flow.states.items():
        if isinstance(state, MenuState):
            yield from _menu(flow, state, ("states", name, "menu"))
        if isinstance(state, LlmState) and flow.engine == "rules":
            what = f"the state {name!r} needs a language model, and the flow's engine is `rules`"
            yield Problem("llm-without-model", what, "Set `engine: hybrid`, or remove the state.", ("states", name))
        if isinstance(state, AnsweredState) and name != flow.start:
            what = (
                f"the state {name!r} comes too late: who answered shows in the first seconds, before anything is said"
            )
            yield Problem("late-answered", what, "Make it the `start`.", ("states", name, "answered"))
    for name, intent in flow.intents.items():
        yield from _intent(flow, intent, ("intents", name))
    for name, slot in flow.slots.items():
        yield from _slot(name, slot, ("slots", name))
    for path, text in prompts(flow):
        yield from _prompt(text, path)
    if flow.disclosure is None:
        what = "the caller is not told that he talks to a machine and may be recorded"
        yield Problem("no-disclosure", what, "Add `disclosure`.", (), Severity.WARNING)


def _prompt(text: Template, path: Path) -> Iterator[Problem]:
    if not text.text.strip():
        yield Problem("empty-prompt", "a prompt is empty", "Write what the bot says.", path)
    if any(set("{}") & set(part) for part in text.parts if isinstance(part, str)):
        what = f"the caller would hear the braces in {text.text!r}"
        yield Problem("braces", what, "Values stand in two braces, {{ name }}; there is no {% if %}.", path)
    if len(text.text) > _LONGEST_PROMPT:
        what = f"a prompt has {len(text.text)} characters; callers stop listening after {_LONGEST_PROMPT}"
        yield Problem("long-prompt", what, "Shorten or split it.", path, Severity.WARNING)


def _menu(flow: Flow, state: MenuState, path: Path) -> Iterator[Problem]:
    if state.say is None:
        what = "the menu says nothing, and the caller does not know what there is to choose"
        yield Problem("silent-menu", what, "Add `say`.", path[:-1], Severity.WARNING)
    keys = {intent.dtmf: f"the global intent {name!r}" for name, intent in flow.intents.items() if intent.dtmf}
    spoken = {
        phrase.sound: name for name, intent in flow.intents.items() if intent.is_global for phrase in intent.phrases
    }
    intents: set[str] = set()
    for index, choice in enumerate(state.menu):
        place = (*path, index)
        if choice.intent in intents:
            yield Problem("double-choice", f"the intent {choice.intent!r} is offered twice", "Remove one.", place)
        intents.add(choice.intent)
        if choice.dtmf is not None:
            if choice.dtmf in keys:
                what = f"the key {choice.dtmf} is taken by {keys[choice.dtmf]}"
                yield Problem("double-key", what, "Give each its own key.", (*place, "dtmf"))
            keys[choice.dtmf] = f"the choice {choice.intent!r}"
        intent = flow.intents.get(choice.intent)
        if intent is not None:
            yield from _choice(flow, intent, choice.dtmf, choice.intent, place)
            yield from _clashes(intent, choice.intent, spoken, place)
    if len(state.menu) > _MOST_CHOICES:
        what = f"a menu offers {len(state.menu)} choices; callers keep {_MOST_CHOICES} in mind at most"
        yield Problem("long-menu", what, "Split it.", path, Severity.WARNING)


def _choice(flow: Flow, intent: Intent, key: str | None, name: str, place: Path) -> Iterator[Problem]:
    if not intent.phrases and key is None:
        severity = Severity.ERROR if flow.engine == "rules" else Severity.WARNING
        what = f"the choice {name!r} has neither phrases nor a key"
        yield Problem("unreachable-choice", what, "Add phrases to the intent or `dtmf` to the choice.", place, severity)


def _clashes(intent: Intent, name: str, spoken: dict[str, str], place: Path) -> Iterator[Problem]:
    for phrase in intent.phrases:
        other = spoken.setdefault(phrase.sound, name)
        if other != name:
            what = f"the phrase {phrase.text!r} of {name!r} sounds like one of {other!r}"
            yield Problem("ambiguous-phrase", what, "Keep it in one of the two.", place)


def _intent(flow: Flow, intent: Intent, path: Path) -> Iterator[Problem]:
    if intent.is_global and not intent.phrases and intent.dtmf is None and flow.engine == "rules":
        what = "a global intent has neither phrases nor a key"
        yield Problem("unreachable-intent", what, "Add `phrases` or `dtmf`.", path)
    for index, phrase in enumerate(intent.phrases):
        if parse_yes_no(phrase.text) is not None and len(phrase.text.split()) == 1:
            what = f"the phrase {phrase.text!r} means yes or no and would be taken for an answer"
            yield Problem("answer-as-phrase", what, "Use a slot of type boolean.", (*path, "phrases", index))


def _slot(name: str, slot: Slot, path: Path) -> Iterator[Problem]:
    if slot.confirm is not None and name not in slot.confirm.names():
        what = f"`confirm` of {name!r} does not say the value"
        yield Problem("blind-confirm", what, f"Say it: {{{{ {name} }}}}.", (*path, "confirm"), Severity.WARNING)
    if slot.type == "phone_az" and slot.confirm is None:
        what = f"the telephone number {name!r} is not confirmed, and digits are misheard often"
        yield Problem("unconfirmed", what, "Add `confirm`.", path, Severity.WARNING)
    if slot.min is not None and slot.max is not None and slot.min > slot.max:
        yield Problem("range", f"min of {name!r} is more than max", "Swap them.", (*path, "min"))
    keys: set[str] = set()
    sounds: dict[str, str] = {}
    for value, spec in slot.values.items():
        if spec.dtmf is not None and spec.dtmf in keys:
            yield Problem(
                "double-key",
                f"the key {spec.dtmf} is given twice",
                "Give each its own key.",
                (*path, "values", value),
            )
        keys.add(spec.dtmf or "")
        for phrase in spec.phrases:
            if sounds.setdefault(phrase.sound, value) != value:
                what = f"the phrase {phrase.text!r} belongs to two values"
                yield Problem("ambiguous-phrase", what, "Keep it in one.", (*path, "values", value))
