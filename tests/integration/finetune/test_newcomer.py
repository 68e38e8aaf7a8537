"""Every command of docs/finetune.md, in its order, from ten recordings to a folder that speaks."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import wave
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from typer.testing import CliRunner

from finetune.cli import app
from finetune.config import RunSettings, read_settings
from finetune.data.settings import PrepareSettings
from finetune.errors import FinetuneError
from finetune.evaluation.evaluate import Plan
from finetune.voice import Voice
from tests.gpu.finetune_cure import sentences, write_corpus
from tests.unit.finetune.prepared import write_prepared_folder
from tests.unit.finetune.tiny import Base
from tts_engine.model.sampling import Sampling

PAGE = Path(__file__).parents[3] / "docs/finetune.md"
HERE = {**os.environ, "PYTHONPATH": str(PAGE.parents[1]), "OMP_NUM_THREADS": "1"}
TINY = {
    "prepare": ["--set", "workers=1"],
    "train": [
        "--set", "schedule.steps=4", "--set", "precision=fp32", "--set", "method.rank=4",
        "--set", "checks.every_steps=2", "--set", "checks.sentences=2", "--set", "checks.limit_s=1",
    ],
    "evaluate": ["--seeds", "1", "--limit-s", "1", "--sentences", "few.txt"],
}  # fmt: skip


def blocks(kind: str) -> list[str]:
    section = PAGE.read_text(encoding="utf-8").partition("## From ten recordings")[2].partition("\n## ")[0]
    found = re.findall(rf"^( *)```{kind}\n(.*?)^ *```$", section, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


@pytest.mark.timeout(240)
def test_the_newcomers_path_ends_with_a_folder_that_speaks(base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    write_corpus(tmp_path / "recordings", sentences(10))
    for text in blocks("yaml"):
        name = text.partition("\n")[0].removeprefix("# ")
        Path(name).write_text(text.replace("sesame/csm-1b", str(base.folder)), encoding="utf-8")
    Path("few.txt").write_text("Salam!\nBəli, eşidirəm.\n", encoding="utf-8")
    done: list[str] = []
    for line in "".join(blocks("sh")).splitlines():
        program, group, command, *rest = shlex.split(line)
        assert (program, group) in {("zeng", "finetune"), ("zeng", "tts")}
        if group == "tts":
            Path("zeng.toml").write_text("".join(blocks("toml")), encoding="utf-8")
            subprocess.run([sys.executable, "-m", "bot.cli", group, command, *rest], env=HERE, check=True)
            continue
        result = CliRunner().invoke(app, [command, *rest, *TINY.get(command, [])])
        assert result.exit_code == 0, result.output
        assert command != "evaluate" or len(result.output.partition("by codebook:")[2].split("listen")[0].split()) == 8
        done.append(command)
    with wave.open("salam.wav") as said:
        assert said.getnframes() >= 1920
    assert done == ["prepare", "train", "evaluate", "evaluate", "compare", "export"]
    for page in ("prepared/report.html", "runs/first/evaluation/evaluation.html", "comparison/comparison.html"):
        assert "<audio" in Path(page).read_text(encoding="utf-8") or "report" in page
    card = Path("voices/first/README.md").read_text(encoding="utf-8")
    assert "I recorded these myself" in card
    assert "of 2 sentences said 2 times in all" in card
    assert list(Path("runs/first/samples/step_000004").glob("*.flac"))
    voice = Voice(tmp_path / "voices/first", adapter=None, device=torch.device("cpu"), dtype=torch.float32)
    prompt = voice.builder.build("Salam, necəsən?", speaker=0, reserve_frames=10)
    spoken = voice.speak([prompt], [Sampling(seed=1)], frames_max=10)
    samples = voice.sound([spoken[0].codes])[0]
    assert len(samples) == 1920 * len(spoken[0].codes)
    assert np.isfinite(samples).all()


def test_the_readme_has_the_commands_of_that_path_in_its_order():
    section = (PAGE.parents[1] / "README.md").read_text(encoding="utf-8").partition("## A voice of your own")[2]
    commands = section.partition("```sh\n")[2].partition("```")[0].splitlines()
    whole = iter("".join(blocks("sh")).splitlines())
    assert len(commands) >= 5
    assert all(command in whole for command in commands)


RECIPES = sorted(p for p in (PAGE.parents[1] / "finetune/recipes").glob("*.yaml") if "accelerate" not in p.stem)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda p: p.stem)
def test_every_recipe_is_a_run(recipe: Path):
    assert read_settings(PrepareSettings if recipe.stem.endswith("prepare") else RunSettings, recipe)


def test_what_the_user_can_mend_is_one_line(tmp_path: Path):
    (tmp_path / "run.yaml").write_text("base: b\nbatch_size: 4\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["train", str(tmp_path / "run.yaml")])
    assert result.exit_code == 1
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "stopped; the same command goes on from here"),
        (OSError(28, "No space left on device"), 1, "No space left on device"),
        (SafetensorError("I/O error: No space left on device"), 1, "No space left on device"),
    ],
)
def test_what_stops_prepare_is_one_line(
    raised: BaseException, code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def stopped(*_: object) -> None:
        raise raised

    monkeypatch.setattr("finetune.data.prepare.prepare", stopped)
    (tmp_path / "prepare.yaml").write_text("corpus: a\noutput: b\ncodec: c\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["prepare", str(tmp_path / "prepare.yaml")])
    assert result.exit_code == code
    assert said in result.output
    assert len(result.output.splitlines()) == 1


@pytest.mark.parametrize(("case", "meant"), [("keep", "Saat beşdə, ƏLİ!"), ("lower", "saat beşdə, əli!")])
def test_sentences_are_said_as_the_bot_would_send_them(
    case: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    class AskedError(FinetuneError):
        pass

    def measure(_servable: object, _data: object, plan: Plan, *_: object) -> None:
        raise AskedError(f"{plan.voice}: {plan.sentences}")

    data = write_prepared_folder(tmp_path / "data")
    settings = SimpleNamespace(data=data)
    opened = SimpleNamespace(prepared=SimpleNamespace(text_case=case), settings=settings, servable=None)
    monkeypatch.setattr("finetune.release.open_run", lambda *_: opened)
    monkeypatch.setattr("finetune.evaluation.evaluate.evaluate", measure)
    (tmp_path / "few.txt").write_text("\ufeffSaat 5-də, ƏLİ!\r\n\r\n", encoding="utf-8", newline="")
    result = CliRunner().invoke(app, ["evaluate", str(tmp_path), "--sentences", str(tmp_path / "few.txt")])
    assert result.output.strip() == f"0: ('{meant}',)"


@pytest.mark.parametrize(
    ("content", "said"), [(None, "cannot be read"), (b"\xff\xfe", "UTF-8"), (b" \n", "no sentence")]
)
def test_a_file_of_sentences_that_cannot_be_said_is_named(
    content: bytes | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("finetune.release.open_run", lambda *_: SimpleNamespace(prepared=None))
    if content is not None:
        (tmp_path / "few.txt").write_bytes(content)
    result = CliRunner().invoke(app, ["evaluate", str(tmp_path), "--sentences", str(tmp_path / "few.txt")])
    assert result.exit_code == 1
    assert result.output.startswith("sentences: ")
    assert said in result.output
    assert "Traceback" not in result.output
