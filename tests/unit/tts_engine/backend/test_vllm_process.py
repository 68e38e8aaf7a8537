from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.waiting import HUNG_S
from tts_engine.backend import vllm_process
from tts_engine.backend.vllm_process import VllmProcess


class FakeLlm:
    """vLLM's front end; its process is only a name."""

    made: list[FakeLlm]
    fails: int = 0  # so many of the next starts

    def __init__(self, arguments: dict[str, Any]) -> None:
        self.arguments, self.errored, self.is_shut_down = arguments, False, False
        self.input_processor = SimpleNamespace()

    @classmethod
    def from_engine_args(cls, arguments: dict[str, Any]) -> FakeLlm:
        if cls.fails:
            cls.fails -= 1
            raise RuntimeError("no memory left")
        cls.made.append(cls(arguments))
        return cls.made[-1]

    def shutdown(self) -> None:
        self.is_shut_down = True


class Watched:
    """A process, and what its owner was told."""

    def __init__(self) -> None:
        self.lost = 0
        self.is_hung = False
        self.process = VllmProcess(self._arguments, take=lambda *_: None, lost=self._lose, hung=lambda: self.is_hung)

    def _arguments(self, socket: Path) -> dict[str, Any]:
        return {"socket": socket}

    def _lose(self) -> None:
        assert self.process.failure  # nobody may come in between
        self.lost += 1
        self.is_hung = False


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    FakeLlm.made, FakeLlm.fails = [], 0
    for name, values in {
        "vllm": {},
        "vllm.engine": {},
        "vllm.engine.arg_utils": {"AsyncEngineArgs": dict},
        "vllm.v1": {},
        "vllm.v1.engine": {},
        "vllm.v1.engine.async_llm": {"AsyncLLM": FakeLlm},
    }.items():
        module = ModuleType(name)
        vars(module).update(values)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(vllm_process, "_WATCH_S", 0.002)
    monkeypatch.setattr(vllm_process, "_RETRY_S", (0.0,))
    watched = Watched()
    yield watched
    watched.process.close()


def until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + HUNG_S
    while not condition():
        assert time.monotonic() < ends
        threading.Event().wait(0.002)  # the process has a thread of its own, which is told nothing of us


def test_a_process_that_hangs_is_given_up_and_another_takes_its_place(watched: Watched):
    watched.process.start()
    assert watched.process.failure == ""

    watched.is_hung = True
    until(lambda: watched.lost == 1)
    until(lambda: watched.process.failure == "")

    first, second = FakeLlm.made
    assert (first.is_shut_down, second.is_shut_down) == (True, False)
    assert first.arguments["socket"] != second.arguments["socket"]


def test_one_that_calls_itself_dead_is_believed(watched: Watched):
    watched.process.start()
    FakeLlm.made[0].errored = True
    until(lambda: len(FakeLlm.made) == 2 and not watched.process.failure)
    assert watched.lost == 1


def test_a_new_start_that_fails_is_tried_again_until_one_stays(watched: Watched):
    watched.process.start()
    FakeLlm.fails = 3
    watched.is_hung = True
    until(lambda: len(FakeLlm.made) == 2 and not watched.process.failure)
    assert FakeLlm.fails == 0
    assert watched.lost == 1  # whoever speaks has been told already


def test_a_first_start_that_fails_is_told_to_who_asked(watched: Watched):
    FakeLlm.fails = 1
    with pytest.raises(RuntimeError, match="no memory left"):
        watched.process.start()
    assert "not started" in watched.process.failure


def test_what_is_closed_is_not_started_anew(watched: Watched):
    watched.process.start()
    watched.process.close()
    watched.process.close()
    FakeLlm.made[0].errored = True
    watched.process.look()
    assert (len(FakeLlm.made), FakeLlm.made[0].is_shut_down, watched.lost) == (1, True, 0)
    assert "closed" in watched.process.failure
