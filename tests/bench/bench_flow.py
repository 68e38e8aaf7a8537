"""How fast flows and text are. Run: python tests/bench/bench_flow.py; exits with 1 when a budget is exceeded.

CPU time of this process, so that neighbours on the machine do not count.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from bot.flows.loader import LIBRARY, load_flow, read_text
from bot.flows.testing import load_suite, run_suite
from bot.language.inverse.phone import parse_phone
from bot.language.phrases import nearest_match
from bot.language.speakable import speakable

_SENTENCE = "Saat 14:35-də, 22.11.2026 tarixində 12,50 ₼ ödəyin, +994 50 123 45 67 nömrəsinə zəng edin."
_LOADED = {path.name: load_flow(path) for path in sorted(LIBRARY.glob("*.flow.yaml"))}
_SUITES = [(flow, *load_suite(LIBRARY / name.replace(".flow.", ".test."))) for name, flow in _LOADED.items()]


def _milliseconds(work: Callable[[], object], *, times: int) -> float:
    work()
    started = time.process_time()
    for _ in range(times):
        work()
    return 1000 * (time.process_time() - started) / times


def _scenarios() -> None:
    for flow, suite, document in _SUITES:
        run_suite(flow, suite, document)


def _load() -> None:
    load_flow(LIBRARY / "klinika.flow.yaml")


def main() -> int:
    """Measure, print and judge."""
    scenarios = sum(len(suite.scenarios) for _, suite, _ in _SUITES)
    phrases = {name: intent.phrases for name, intent in _LOADED["klinika.flow.yaml"].intents.items()}
    said = "sıfır əlli bir iki üç dörd beş altı yeddi"
    measured = [
        ("one flow test (a whole call)", _milliseconds(_scenarios, times=20) / scenarios, 5.0),
        ("load and lint klinika.flow.yaml", _milliseconds(_load, times=5), 400.0),
        ("speakable, a sentence of 90 characters", _milliseconds(lambda: speakable(_SENTENCE), times=200), 3.0),
        ("phrases by sound, no match", _milliseconds(lambda: nearest_match(_SENTENCE, phrases), times=50), 10.0),
        ("a telephone number digit by digit", _milliseconds(lambda: parse_phone(said), times=100), 3.0),
    ]
    for what, took, budget in measured:
        print(f"{what:45} {took:8.3f} ms   budget {budget:6.1f} ms   {'ok' if took <= budget else 'TOO SLOW'}")
    print(f"{len(_LOADED)} flows, {scenarios} tests, {len(read_text(LIBRARY / 'klinika.flow.yaml'))} characters")
    return int(any(took > budget for _, took, budget in measured))


if __name__ == "__main__":
    sys.exit(main())
