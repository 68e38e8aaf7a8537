"""The model card that goes with a voice: what it learnt from, who agreed to what, its figures and its limits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from finetune.config import RunSettings
from finetune.data.manifest import Prepared

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
        "Figures are of held-out sentences of the same corpus, on the machine that measured them; a telephone's band "
        "and other texts give others. DNSMOS hears noise, not pronunciation."
    ),
)


def model_card(run: Path, settings: RunSettings, prepared: Prepared, *, adapter_only: bool) -> str:
    """Write the card of a run's folder; figures are those of its `evaluation`, else of its best check."""
    about = json.loads((settings.data / "prepared.json").read_text(encoding="utf-8"))
    parts = [
        f"# Azerbaijani voice after {settings.base}",
        "## Data",
        _data(about, prepared),
        "## Consent",
        about["settings"].get("consent") or _UNSAID.format(field="consent"),
        f"Licence of the recordings: {about['settings'].get('licence') or _UNSAID.format(field='licence')}",
        "## Figures",
        _figures(run),
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
    voices = "\n".join(f"| {number} | {name} |" for name, number in sorted(prepared.voices.items()))
    return (
        f"It has learnt from {sums.get('clips', '?')} clips, {float(sums.get('seconds', 0)) / 60:.0f} minutes, a share "
        f"of them held out. Left out were: {out or 'none'}.\n\n"
        f"| in the prompt | speaker |\n|---|---|\n{voices}"
    )


def _figures(run: Path) -> str:
    path = run / "evaluation/evaluation.json"
    if path.exists():
        summary: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))["summary"]
        rows = "\n".join(f"| {name} | {value:.3f} |" for name, value in summary.items())
        return f"By `zeng finetune evaluate`:\n\n| measure | value |\n|---|--:|\n{rows}"
    best = _best_check(run / "metrics.jsonl")
    if best is None:
        return "None were measured."
    return (
        f"Only the run's own check at step {best['step']}: held-out loss {best['loss']:.3f}, "
        f"stop rate {best['stop_rate']:.2f}. `zeng finetune evaluate` measures more."
    )


def _best_check(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return min((row for row in rows if row["kind"] == "check"), key=lambda row: row["loss"], default=None)
