"""Pages to listen to: one checkpoint with its measures, or two side by side."""

from __future__ import annotations

import os
from html import escape
from pathlib import Path

from finetune.errors import ConfigError
from finetune.evaluation.evaluate import Evaluation, Measured
from finetune.page import bars, histogram, page, player, scatter, table

GATES: dict[str, tuple[float, float]] = {
    "stop_rate": (0.99, 1.0),
    "duration_ratio": (0.8, 1.25),
    "duration_within_half_and_double": (0.95, 1.0),
    "lead_s": (0.0, 0.3),
    "tail_s": (0.0, 0.5),
    "inner_s": (0.0, 1.0),
    "silent_share": (0.0, 0.3),
    "stuck_frames": (0.0, 12.0),
}
"""Between which values a voice is fit to be put on a telephone."""


def failed_gates(evaluation: Evaluation) -> list[str]:
    """Name the measures that are outside their gates."""
    return [name for name, (low, high) in GATES.items() if not low <= evaluation.summary[name] <= high]


def write_page(folder: Path, evaluation: Evaluation) -> None:
    """Write `evaluation.html` beside the sounds."""
    rows = [[name, _value(name, value), _gate(name)] for name, value in evaluation.summary.items()]
    said = [[escape(one.text), f"{one.seed}", player(one.file), *_numbers(one)] for one in evaluation.measured]
    header = [
        "text",
        "seed",
        "",
        "ended",
        "s",
        "of",
        "lead",
        "tail",
        "pause",
        "silent",
        "stuck",
        "error rate",
        "MOS",
        "voice",
    ]
    html = page(
        "Evaluation",
        table(["measure", "value", "gate"], rows),
        _plots(evaluation),
        table(header, said),
    )
    (folder / "evaluation.html").write_text(html, encoding="utf-8")


def comparison(left: Evaluation, right: Evaluation) -> list[tuple[str, float, float]]:
    """Give measure, first and second value of what both have."""
    rows = [(name, value, right.summary[name]) for name, value in left.summary.items() if name in right.summary]
    pairs = zip(left.perplexities, right.perplexities, strict=False)
    return [*rows, *((f"perplexity_{number}", a, b) for number, (a, b) in enumerate(pairs))]


def write_comparison(folder: Path, first: Path, left: Evaluation, second: Path, right: Evaluation) -> None:
    """Write `comparison.html`: the table, and each sentence by both; raises ConfigError if they share none."""
    others = {(one.text, one.seed): one for one in right.measured}
    pairs = [(one, others[one.text, one.seed]) for one in left.measured if (one.text, one.seed) in others]
    if not pairs:
        raise ConfigError("the two evaluations have no sentence in common: let both say the same", field="against")
    folder.mkdir(parents=True, exist_ok=True)
    sums = [[name, f"{a:.3f}", f"{b:.3f}", f"{b - a:+.3f}"] for name, a, b in comparison(left, right)]
    said = [
        [
            escape(a.text),
            player(os.path.relpath(first / a.file, folder)),
            player(os.path.relpath(second / b.file, folder)),
        ]
        for a, b in pairs
    ]
    plots = "".join(
        (
            bars("Perplexity by codebook", [("A", left.perplexities), ("B", right.perplexities)], unit=""),
            histogram("Seconds of A", [a.seconds for a, _ in pairs], unit="s"),
            histogram("Seconds of B", [b.seconds for _, b in pairs], unit="s"),
        )
    )
    html = page("Comparison", table(["measure", "A", "B", "B - A"], sums), plots, table(["text", "A", "B"], said))
    (folder / "comparison.html").write_text(html, encoding="utf-8")


def _plots(evaluation: Evaluation) -> str:
    said = evaluation.measured
    return "".join(
        (
            scatter("Seconds said over seconds expected", [(one.expected_s, one.seconds) for one in said], unit="s"),
            histogram("Silent share", [one.silent_share for one in said], unit=""),
            histogram("Longest pause", [one.inner_s for one in said], unit="s"),
            bars("Perplexity of held-out clips by codebook", [("codebook", evaluation.perplexities)], unit=""),
        )
    )


def _numbers(one: Measured) -> list[str]:
    heard = ("" if value is None else f"{value:.2f}" for value in (one.error_rate, one.mos, one.speaker_similarity))
    ended = "yes" if one.stopped else '<span class="bad">no</span>'
    times = (one.seconds, one.expected_s, one.lead_s, one.tail_s, one.inner_s, one.silent_share)
    return [ended, *(f"{value:.2f}" for value in times), f"{one.stuck_frames}", *heard]


def _value(name: str, value: float) -> str:
    low, high = GATES.get(name, (float("-inf"), float("inf")))
    return f"{value:.3f}" if low <= value <= high else f'<span class="bad">{value:.3f}</span>'


def _gate(name: str) -> str:
    if name not in GATES:
        return ""
    low, high = GATES[name]
    return f"{low:g} to {high:g}"
