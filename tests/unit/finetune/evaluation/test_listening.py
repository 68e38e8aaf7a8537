from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from finetune.errors import ConfigError
from finetune.evaluation.evaluate import Evaluation, Measured, read_evaluation
from finetune.evaluation.listening import comparison, failed_gates, write_comparison, write_page

ONE = Measured("Salam <b>", 0, "sounds/000.flac", True, 1.0, 1.1, 0.1, 0.2, 0.0, 0.1, 3, None)
GOOD = {
    "stop_rate": 1.0, "duration_ratio": 1.0, "duration_within_half_and_double": 1.0, "lead_s": 0.1, "tail_s": 0.2,
    "inner_s": 0.1, "silent_share": 0.1, "stuck_frames": 3.0,
}  # fmt: skip


def test_a_voice_that_does_not_stop_fails_its_gate():
    assert failed_gates(Evaluation(GOOD, (), (ONE,))) == []
    assert failed_gates(Evaluation({**GOOD, "stop_rate": 0.6, "tail_s": 2.0}, (), (ONE,))) == ["stop_rate", "tail_s"]


def test_the_page_plays_each_sentence_and_marks_what_failed(tmp_path: Path):
    write_page(tmp_path, Evaluation({**GOOD, "stop_rate": 0.6}, (12.5,), (ONE, replace(ONE, stopped=False))))
    text = (tmp_path / "evaluation.html").read_text(encoding="utf-8")
    assert text.count("<audio") == 2
    assert "Salam &lt;b&gt;" in text
    assert '<span class="bad">0.600</span>' in text
    assert '<span class="bad">no</span>' in text


def test_two_are_compared_by_what_both_have(tmp_path: Path):
    left = Evaluation({**GOOD, "error_rate": 0.2}, (10.0, 20.0), (ONE,))
    right = Evaluation({**GOOD, "stop_rate": 0.5}, (11.0,), (ONE, replace(ONE, text="başqa")))
    rows = comparison(left, right)
    assert ("stop_rate", 1.0, 0.5) in rows
    assert rows[-1] == ("perplexity_0", 10.0, 11.0)
    assert "error_rate" not in {name for name, _, _ in rows}
    write_comparison(tmp_path / "out", tmp_path / "a", left, tmp_path / "b", right)
    text = (tmp_path / "out/comparison.html").read_text(encoding="utf-8")
    assert 'src="../a/sounds/000.flac"' in text
    assert 'src="../b/sounds/000.flac"' in text


def test_evaluations_without_a_sentence_in_common_are_not_compared(tmp_path: Path):
    left, right = (Evaluation(GOOD, (), (replace(ONE, text=text),)) for text in ("a", "b"))
    with pytest.raises(ConfigError, match="no sentence in common"):
        write_comparison(tmp_path, tmp_path, left, tmp_path, right)
    with pytest.raises(ConfigError, match="is missing"):
        read_evaluation(tmp_path)
    for torn in ('{"summary": {"stop', '{"summary": {}}', '{"measured": [{"colour": 1}]}'):
        (tmp_path / "evaluation.json").write_text(torn, encoding="utf-8")
        with pytest.raises(ConfigError, match="is torn, or of another version"):
            read_evaluation(tmp_path)
