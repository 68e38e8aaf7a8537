"""The model card that goes with a voice: what it learnt from, who agreed to what, its figures and its limits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from finetune.config import CheckSettings, RunSettings
from finetune.data.manifest import Prepared
from finetune.evaluation.evaluate import read_evaluation
from finetune.training.servable import digest

_UNSAID = (
    "Nothing was said of this when the corpus was prepared (`{field}`); whoever shares this folder must say it here."
)
_LIMITS = (
    (
        "A voice says what it is given: it can be made to say what its speaker never said. Tell callers that they hear "
        "a machine, and use it for nothing that its speaker has not agreed to."
    ),
    (
        "It was trained for Azerbaijani in Latin letters. Other languages, names in them, and digits or signs that the "
        "normaliser leaves are said as they come."
    ),
    (
        "Figures are of a sheet of sentences (`of_recordings`, `of_codec` and the distortion: of held-out clips), on "
        "the machine that measured them; a telephone's band and other texts give others. DNSMOS hears noise, not "
        "pronunciation."
    ),
)


def model_card(run: Path, settings: RunSettings, prepared: Prepared, weights: Path, *, adapter_only: bool) -> str:
    """Write the card of a run's `weights` (its `best` or `last`); figures are those of these, else of their check."""
    about = json.loads((settings.data / "prepared.json").read_text(encoding="utf-8"))
    parts = [
        f"# Azerbaijani voice after {settings.base}",
        "## Data",
        _data(about, prepared),
        "## Consent",
        about["settings"].get("consent") or _UNSAID.format(field="consent"),
        f"Licence of the recordings: {about['settings'].get('licence') or _UNSAID.format(field='licence')}",
        "## Figures",
        _figures(run, weights, settings),
        "## Limits",
        "\n".join(f"- {limit}" for limit in _LIMITS),
        "## Use",
        (
            f"Text must pass `{prepared.normaliser}` first (capitals: {prepared.text_case}), as in training. In the "
            f"speech server: {'model = the base, adapter = this folder' if adapter_only else 'model = this folder'}."
        ),
        "## Method",
        f"Up to {settings.schedule.steps} steps, seed {settings.seed}.",
        f"```yaml\n{yaml.safe_dump(settings.method.model_dump(mode='json'), sort_keys=False)}```",
    ]
    return f"---\n{yaml.safe_dump(_head(settings, adapter_only=adapter_only), sort_keys=False)}---\n\n" + (
        "\n\n".join(parts) + "\n"
    )


def _head(settings: RunSettings, *, adapter_only: bool) -> dict[str, Any]:
    head = {"base_model": settings.base, "language": ["az"], "pipeline_tag": "text-to-speech"}
    return head | ({"library_name": "peft"} if adapter_only else {})


def _data(about: dict[str, Any], prepared: Prepared) -> str:
    sums = about.get("sums", {})
    rejected: dict[str, int] = sums.get("rejected", {})
    out = ", ".join(f"{count} {reason}" for reason, count in sorted(rejected.items(), key=lambda pair: -pair[1]))
    voices = "\n".join(
        f"| {number} | {name.replace('|', '&#124;')} |" for name, number in sorted(prepared.voices.items())
    )
    return (
        f"It has learnt from {sums.get('clips', '?')} clips, {float(sums.get('seconds', 0)) / 60:.0f} minutes, a share "
        f"of them held out. Left out were: {out or 'none'}.\n\n"
        f"| in the prompt | speaker |\n|---|---|\n{voices}"
    )


def _figures(run: Path, weights: Path, settings: RunSettings) -> str:
    """Give what was measured of these weights, and of no others of the run."""
    folder, note = run / "evaluation", ""
    if (folder / "evaluation.json").exists():
        found = read_evaluation(folder)
        if found.weights == digest(weights):
            rows = "\n".join(f"| {name} | {value:.3f} |" for name, value in found.summary.items())
            times, texts = len(found.measured), len({one.text for one in found.measured})
            return (
                f"By `zeng finetune evaluate`, of {texts} sentences said {times} times in all:\n\n"
                f"| measure | value |\n|---|--:|\n{rows}"
            )
        note = " What is in the run's `evaluation` is of another checkpoint."
    check = _check_of(run / "metrics.jsonl", weights.name, settings.checks)
    if check is None:
        return f"None were measured.{note}"
    return (
        f"Only the run's own check at step {check['step']}: held-out loss {check['loss']:.3f}, "
        f"stop rate {check['stop_rate']:.2f}. `zeng finetune evaluate` measures more.{note}"
    )


def _check_of(path: Path, which: str, settings: CheckSettings) -> dict[str, Any] | None:
    """Find the check that the weights were measured in: that of the best, or that after the last step."""
    if not path.exists():
        return None
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    checks = [row for row in rows if row["kind"] == "check"]
    if which == "last":
        last = max((row["step"] for row in rows), default=0)
        return next((row for row in checks if row["step"] == last), None)
    ranked = ((row["stop_rate"] >= settings.stop_rate_min - 1e-6, -row["loss"], -row["step"], row) for row in checks)
    return max(ranked, key=lambda place: place[:3], default=(None,))[-1]
