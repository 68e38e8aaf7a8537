"""`zeng finetune prepare | train | evaluate | compare | export`."""

from __future__ import annotations

import signal
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from safetensors import SafetensorError

from finetune.config import RunSettings, read_settings
from finetune.data.reasons import REMEDIES
from finetune.data.settings import PrepareSettings
from finetune.errors import ConfigError, FinetuneError
from tts_engine.model.errors import ModelError

# Torch takes seconds to import, so commands import what they need: `--help` must be quick.
app = typer.Typer(
    help="From a folder of Azerbaijani recordings to a voice that is served.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
console = Console()

Set = Annotated[list[str] | None, typer.Option("--set", help="Override, as section.name=value.")]


@app.command()
def prepare(
    settings: Annotated[Path, typer.Argument(help="YAML with corpus, output and codec.")], overrides: Set = None
) -> None:
    """Make clips, codes and a report of recordings."""
    with _told():
        read = read_settings(PrepareSettings, settings, overrides or [])
        from finetune.data.prepare import prepare as run  # noqa: PLC0415 - torch

        try:
            summary = run(read, console)
        except KeyboardInterrupt:
            console.print("stopped; the same command goes on from here")
            raise typer.Exit(130) from None
        console.print(f"{summary.clips} clips, {summary.seconds / 60:.1f} minutes; look at {read.output}/report.html")
        for reason, count in sorted(summary.rejected.items(), key=lambda pair: -pair[1]):
            console.print(f"  {count:5d} {reason}: {REMEDIES[reason]}")


@app.command()
def train(
    settings: Annotated[Path, typer.Argument(help="The run's YAML; finetune/recipes has some.")],
    overrides: Set = None,
) -> None:
    """Train, or go on with a run that was stopped."""
    with _told():
        read = read_settings(RunSettings, settings, overrides or [])
        from finetune.training.loop import train as run  # noqa: PLC0415 - torch

        with _interrupts() as interrupted:
            result = run(read, lambda message: print(message, flush=True), lambda: bool(interrupted))  # noqa: T201 - a log
        console.print(f"{result.reason} after {result.steps} steps; the best is in {read.output}/best")


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="The run's folder.")],
    which: Annotated[str, typer.Option(help="best or last.")] = "best",
    output: Annotated[Path | None, typer.Option(help="Where to; RUN/evaluation otherwise.")] = None,
    sentences: Annotated[Path | None, typer.Option(help="A file of a sentence a line.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How often each is said.")] = 3,
    limit_s: Annotated[float, typer.Option(min=0.1)] = 20.0,
    recogniser: Annotated[str, typer.Option(help="whisper:FOLDER or module:function.")] = "",
    base: Annotated[bool, typer.Option("--base", help="Evaluate the base itself, to compare with.")] = False,
) -> None:
    """Let a checkpoint speak, measure it, and write a page to listen to."""
    with _told():
        from finetune.data.recognition import open_recogniser  # noqa: PLC0415 - torch
        from finetune.data.text import as_served  # noqa: PLC0415 - torch
        from finetune.evaluation.evaluate import Plan, learnt_voice  # noqa: PLC0415 - torch
        from finetune.evaluation.evaluate import evaluate as measure  # noqa: PLC0415 - torch
        from finetune.evaluation.listening import failed_gates, write_page  # noqa: PLC0415 - torch
        from finetune.evaluation.sheet import SHEET  # noqa: PLC0415 - torch
        from finetune.release import open_base, open_run  # noqa: PLC0415 - torch

        opened = open_base(run) if base else open_run(run, which)
        texts = _lines(sentences) if sentences else SHEET
        plan = Plan(
            sentences=tuple(as_served(text, case=opened.prepared.text_case) for text in texts),
            voice=learnt_voice(opened.settings.data),
            seeds=seeds,
            limit_s=limit_s,
            recognise=open_recogniser(recogniser) if recogniser else None,
        )
        folder = output or run / ("evaluation-base" if base else "evaluation")
        found = measure(opened.servable, opened.settings.data, plan, folder, console.print)
        write_page(folder, found)
        failed = failed_gates(found)
        _table(
            ["measure", "value", ""], [[n, f"{v:.3f}", "!" if n in failed else ""] for n, v in found.summary.items()]
        )
        console.print("perplexity by codebook:", *(f"{value:.1f}" for value in found.perplexities))
        console.print(f"listen: {folder}/evaluation.html")


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="Folder of an evaluation.")],
    second: Annotated[Path, typer.Argument(help="Folder of another.")],
    output: Annotated[Path, typer.Option(help="Where the page goes.")] = Path("comparison"),
) -> None:
    """Put two evaluations side by side."""
    with _told():
        from finetune.evaluation.evaluate import read_evaluation  # noqa: PLC0415 - torch
        from finetune.evaluation.listening import comparison, write_comparison  # noqa: PLC0415 - torch

        left, right = read_evaluation(first), read_evaluation(second)
        write_comparison(output, first, left, second, right)
        _table(["measure", "A", "B"], [[name, f"{a:.3f}", f"{b:.3f}"] for name, a, b in comparison(left, right)])
        console.print(f"listen: {output}/comparison.html")


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="The run's folder.")],
    output: Annotated[Path, typer.Argument(help="A folder that is not there yet.")],
    which: Annotated[str, typer.Option(help="best or last.")] = "best",
    adapter_only: Annotated[bool, typer.Option("--adapter-only", help="The adapter, to be merged on loading.")] = False,
) -> None:
    """Write the folder that serves: merged, or the adapter alone."""
    with _told():
        from finetune.release import export as write  # noqa: PLC0415 - torch
        from finetune.release import open_run  # noqa: PLC0415 - torch

        write(open_run(run, which), output, adapter_only=adapter_only)
        console.print(f"serve it: {output}")


def _lines(path: Path) -> tuple[str, ...]:
    """Read a sentence a line; raises ConfigError."""
    try:
        lines = tuple(line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as UTF-8: {error}", field="sentences") from error
    if not lines:
        raise ConfigError(f"{path} holds no sentence; write one a line", field="sentences")
    return lines


def main() -> None:
    """Run the commands by themselves; `zeng finetune` mounts `app`."""
    app()


def _table(header: list[str], rows: list[list[str]]) -> None:
    table = Table(*header)
    for row in rows:
        table.add_row(*row)
    console.print(table)


@contextmanager
def _told() -> Generator[None]:
    """Show what the user can mend as one line, without a traceback."""
    try:
        yield
    except (FinetuneError, ModelError, SafetensorError, OSError) as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True, highlight=False)
        raise typer.Exit(1) from error


@contextmanager
def _interrupts() -> Generator[list[int]]:
    """Collect Ctrl-C and SIGTERM: the run ends after its step and saves."""
    caught: list[int] = []
    before = {kind: signal.signal(kind, lambda number, _: caught.append(number)) for kind in _SIGNALS}
    try:
        yield caught
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


_SIGNALS = (signal.SIGINT, signal.SIGTERM)
