"""`zeng loadtest`: how many calls, how fast, how good."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from pydantic import ValidationError
from rich.console import Console

from bot.errors import BotError
from bot.flows.loader import load_flow
from bot.flows.shipped import flow_path
from bot.loadtest.comparison import compare as compare_reports
from bot.loadtest.comparison import comparison_table
from bot.loadtest.conductor import Conductor
from bot.loadtest.echo import echo_target
from bot.loadtest.html import html
from bot.loadtest.impairment import GilbertElliott, NetworkModel
from bot.loadtest.live import LiveView
from bot.loadtest.markdown import failure_lines, knee_line, markdown
from bot.loadtest.plan import load_plan
from bot.loadtest.results import Report
from bot.loadtest.sources import render_sources
from bot.loadtest.speech_load import SpeechLoad, run_speech_load, speech_table
from bot.urls import http_url

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)
_DEFAULT_PLAN = Path(__file__).parent / "default.plan.yaml"
_BROKEN, _INVALID = 1, 3  # exit codes; 2 is a wrong command line


@app.command()
def run(  # noqa: PLR0913, PLR0917  # one parameter an option
    plan: Annotated[Path | None, typer.Argument(help="YAML; see docs/loadtest.md")] = None,
    target: Annotated[str, typer.Option(help="sip:user@host:port, or http://host:port for WebRTC")] = "",
    calls: Annotated[int, typer.Option(min=0, show_default=False, help="hold so many calls")] = 0,
    steps: Annotated[str, typer.Option(help="loads one after another: 1,2,4,8")] = "",
    ramp: Annotated[int, typer.Option(min=0, show_default=False, help="come in evenly, up to so many calls")] = 0,
    burst: Annotated[float, typer.Option(min=0, show_default=False, help="new calls a second")] = 0.0,
    soak: Annotated[float, typer.Option(min=0, show_default=False, help="hours to hold --calls")] = 0.0,
    find_knee: Annotated[
        int, typer.Option(min=0, show_default=False, help="search the knee up to so many calls, from --calls on")
    ] = 0,
    hold: Annotated[float, typer.Option(min=0, show_default=False, help="seconds of each load")] = 0.0,
    processes: Annotated[int, typer.Option(min=0, show_default=False, help="generator processes")] = 0,
    slo: Annotated[list[str] | None, typer.Option(help="a promise: latency_p95_ms=800; may be given again")] = None,
    loss: Annotated[float | None, typer.Option(min=0, max=0.9, help="share of packets the network loses")] = None,
    loss_burst: Annotated[float | None, typer.Option(min=1, help="packets lost at a time, on average")] = None,
    delay_ms: Annotated[float | None, typer.Option(min=0, help="of the network, each way")] = None,
    jitter_ms: Annotated[float | None, typer.Option(min=0, help="by which that varies")] = None,
    reorder: Annotated[float | None, typer.Option(min=0, max=0.9, help="share of packets that are overtaken")] = None,
    references: Annotated[Path | None, typer.Option(help="folder of WAVs of what the bot may say")] = None,
    metrics_url: Annotated[str, typer.Option(help="the bot's page, for its own figures")] = "",
    out: Annotated[Path | None, typer.Option(help="folder for the report and the recordings")] = None,
    seed: Annotated[int | None, typer.Option(help="of callers and network")] = None,
) -> None:
    """Call a bot and measure it; options lie over the plan.

    Exits with 1 where a promise is broken, with 3 where the run is invalid.
    """
    shape = _shape(calls=calls, steps=steps, ramp=ramp, burst=burst, soak=soak, find_knee=find_knee, hold=hold)
    network = {"loss": loss, "loss_burst": loss_burst, "delay_ms": delay_ms, "jitter_ms": jitter_ms, "reorder": reorder}
    given: tuple[tuple[str, object], ...] = (
        ("target", target), ("shape", shape), ("processes", processes), ("metrics_url", metrics_url),
        ("slo", _promises(slo or [])), ("references", references),
        ("network", {name: value for name, value in network.items() if value is not None}),
    )  # fmt: skip
    overrides: dict[str, object] = {name: value for name, value in given if value}
    if seed is not None:
        overrides["seed"] = seed
    console = Console()
    try:
        made = load_plan(plan or _DEFAULT_PLAN, overrides)
        folder = out or Path(tempfile.mkdtemp(prefix="zeng-loadtest-"))
        folder.mkdir(parents=True, exist_ok=True)
        with LiveView(console) as view:
            conductor = Conductor(made, folder, on_progress=view.progress, on_stage=view.stage)
            report = asyncio.run(conductor.run())
    except BotError as error:
        console.print(f"zeng loadtest: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(2) from error
    write_report(report, folder)
    for title, said, style in (
        ("found", [f"{stage.name}: {one.sentence}" for stage in report.stages for one in stage.findings], "yellow"),
        ("calls that failed", failure_lines(report), "red"),
        ("promises broken", report.broken, "red"),
        ("to know", report.caveats, "dim"),
    ):
        for line in said:
            console.print(f"{title}: {line}", style=style, markup=False, highlight=False, soft_wrap=True)
    if report.knee is not None:
        console.print(knee_line(report).replace("**", ""), highlight=False)
    console.print(f"report: {folder / 'report.html'}, report.md, report.json", markup=False, soft_wrap=True)
    if report.invalid:
        for line in report.invalid:
            console.print(f"INVALID: {line}", style="bold red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(_INVALID)
    raise typer.Exit(_BROKEN if report.broken and not made.shape.find_knee else 0)


def write_report(report: Report, folder: Path) -> None:
    """Write the JSON, the Markdown and the page."""
    (folder / "report.json").write_text(report.model_dump_json(indent=1), encoding="utf-8")
    (folder / "report.md").write_text(markdown(report), encoding="utf-8")
    (folder / "report.html").write_text(html(report, folder), encoding="utf-8")


@app.command()
def compare(first: Path, second: Path, seed: int = 1) -> None:
    """Compare two report.json files; exits with 1 where something got significantly worse, 3 for an INVALID one."""
    try:
        before, after = (Report.model_validate_json(path.read_text(encoding="utf-8")) for path in (first, second))
    except (OSError, ValidationError) as error:
        typer.echo(f"zeng loadtest: cannot read a report: {error}", err=True)
        raise typer.Exit(2) from error
    changes = compare_reports(before, after, np.random.default_rng(seed))
    typer.echo(comparison_table(changes))
    if any(one.invalid for one in changes):
        typer.echo("INVALID: loads of a run whose figures are not to be believed are not compared", err=True)
        raise typer.Exit(_INVALID)
    raise typer.Exit(1 if any(one.verdict == "worse" for one in changes) else 0)


@app.command()
def echo(
    host: Annotated[str, typer.Option(help="our address; at any but loopback everybody may call")] = "127.0.0.1",
    port: int = 5070,
    delay_ms: float = 0.0,
    loss: float = 0.0,
    loss_burst: float = 1.0,
    jitter_ms: float = 0.0,
    seed: int = 1,
) -> None:
    """Answer SIP calls and send every packet back after a known delay, to measure a load generator by."""
    model = NetworkModel(GilbertElliott.of(loss, loss_burst), delay_ms / 1000, jitter_ms / 1000)

    async def serve() -> None:
        async with echo_target(model, host=host, port=port, seed=seed) as (uri, _):
            typer.echo(f"echo at {uri}; Ctrl-C ends it")
            await asyncio.Event().wait()

    try:
        asyncio.run(serve())
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


@app.command()
def tts(  # noqa: PLR0913, PLR0917  # one parameter an option
    url: Annotated[str, typer.Argument(help="http://host:port of a speech server")],
    websocket: Annotated[bool, typer.Option(help="our WebSocket instead of POST /v1/audio/speech")] = False,
    streams: Annotated[int, typer.Option(min=1, help="closed loop: so many at once")] = 1,
    rate: Annotated[float, typer.Option(min=0, help="Poisson arrivals a second instead")] = 0.0,
    seconds: Annotated[float, typer.Option(min=1)] = 20.0,
    model: str = "tts-1",
    voice: str = "alloy",
    texts: Annotated[Path | None, typer.Option(help="a text a line", exists=True, dir_okay=False)] = None,
    out: Annotated[Path | None, typer.Option(help="JSON")] = None,
    seed: int = 1,
) -> None:
    """Measure a speech server alone: first audio, underruns of a caller who listens, audio seconds a second."""
    lines = texts.read_text(encoding="utf-8").split("\n") if texts else []
    load = SpeechLoad(
        url=_checked(url), protocol="zeng" if websocket else "openai", streams=streams, rate_per_s=rate,
        seconds=seconds, model=model, voice=voice,
        texts=tuple(line for line in lines if line.strip()), seed=seed,
    )  # fmt: skip
    report = asyncio.run(run_speech_load(load))
    typer.echo(speech_table(report))
    if out:
        out.write_text(report.model_dump_json(indent=1), encoding="utf-8")
    raise typer.Exit(1 if report.failed else 0)


@app.command()
def sources(
    flow: Annotated[str, typer.Argument(help="the flow that the bot serves: a file, or the name of one that ships")],
    url: Annotated[str, typer.Argument(help="http://host:port of its speech server")],
    out: Annotated[Path, typer.Argument(help="folder to write, for `references` of a plan")],
    websocket: Annotated[bool, typer.Option(help="our WebSocket instead of POST /v1/audio/speech")] = False,
    model: str = "tts-1",
    voice: str = "alloy",
) -> None:
    """Render what a flow says by the bot's own voice, to hold its answers against: signal score, gaps, words right."""
    load = SpeechLoad(url=_checked(url), protocol="zeng" if websocket else "openai", model=model, voice=voice)
    out.mkdir(parents=True, exist_ok=True)
    try:
        written = asyncio.run(render_sources(load_flow(flow_path(flow)), load, out))
    except BotError as error:
        typer.echo(f"zeng loadtest: {error}", err=True)
        raise typer.Exit(2) from error
    typer.echo(f"{len(written)} prompts in {out}; run with --references {out}")


def _checked(url: str) -> str:
    try:
        return http_url(url)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _shape(
    *, calls: int, steps: str, ramp: int, burst: float, soak: float, find_knee: int, hold: float
) -> dict[str, Any]:
    """The shape that the options name; empty where they name none."""
    shape: dict[str, Any] = {}
    if steps:
        try:
            shape["steps"] = [int(load) for load in steps.split(",")]
        except ValueError:
            raise typer.BadParameter(f"--steps {steps}: write whole numbers, such as 1,2,4,8") from None
    elif ramp:
        shape["ramp"] = ramp
    elif burst:
        shape["burst_per_s"] = burst
    elif soak:
        shape |= {"soak_hours": soak, "calls": calls or 1}
    elif find_knee:
        shape |= {"find_knee": find_knee, "calls": calls or 1}
    elif calls:
        shape["steps"] = [calls]
    return {**shape, "hold_s": hold} if hold else shape


def _promises(given: list[str]) -> dict[str, float]:
    promises: dict[str, float] = {}
    for text in given:
        name, _, bound = text.partition("=")
        try:
            promises[name] = float(bound)
        except ValueError:
            raise typer.BadParameter(f"{text!r}: write NAME=NUMBER") from None
    return promises
