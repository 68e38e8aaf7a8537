"""The account of what listeners heard."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from tests.gpu.heard import Heard, Notebook, Second, Utterance, minutes, row


def utterance(began: float, *, late_ms: float | None = -5.0) -> Utterance:
    return Utterance(began, "said", 50.0 + began, late_ms, audio_s=4.0)


def test_what_a_process_heard_before_it_died_counts_but_for_the_line_it_was_writing(tmp_path: Path) -> None:
    place = tmp_path / "0.jsonl"
    heard = Heard()

    with closing(Notebook(place)) as notebook:
        for item in (utterance(1.0), Second(2.0, stall_ms=7.0, cpu_s=0.5), utterance(3.0)):
            notebook.write(item)
        place.write_text(place.read_text() + '{"began": 4.0, "outc')
        heard.read(place)

    assert heard.utterances == [utterance(1.0), utterance(3.0)]
    assert (heard.seconds, heard.cpu_s) == ([Second(2.0, 7.0, 0.5)], 0.5)


def test_a_process_that_died_before_it_heard_anything_is_one_of_them_all_the_same(tmp_path: Path) -> None:
    heard = Heard()

    heard.read(tmp_path / "0.jsonl")

    assert (heard.processes, heard.utterances) == (1, [])


def test_a_row_without_all_listeners_says_so() -> None:
    heard = Heard(utterances=[utterance(1.0)], processes=8, lost=["listeners 3 died"])

    assert "| 8 streams, INCOMPLETE: 1 of 8 listeners lost | 1 | 0 | 0 | 51 |" in row("8 streams", heard, (0, 0), 10)


def test_an_utterance_counts_in_the_minute_in_which_it_began() -> None:
    failed = Utterance(161.0, "failed", None, None, audio_s=0.0)
    heard = Heard(
        began=100.0,
        utterances=[utterance(110.0), utterance(159.0, late_ms=3.0), failed, utterance(165.0, late_ms=None)],
        seconds=[Second(120.0, stall_ms=4.0, cpu_s=0.1), Second(170.0, stall_ms=9.0, cpu_s=0.2)],
    )

    assert minutes(heard).splitlines()[2:] == [
        "| 0 to 60 s | 2 | 0 | 184 | 207 | 1 | 3 | 3 | 4 |",
        "| 60 to 120 s | 1 | 1 | 215 | 215 | 0 | nan | nan | 9 |",
    ]
