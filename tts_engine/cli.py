"""`zeng tts`: serve speech, or say one thing into a file."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
import uvloop
from prometheus_client import CollectorRegistry
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tts_engine.app import build_engine, serve
from tts_engine.audio_formats import wav_header
from tts_engine.client import SpeechClient
from tts_engine.errors import SpeechError
from tts_engine.metrics import SpeechMetrics
from tts_engine.protocol import BYTES_PER_SECOND, SAMPLE_RATE_HZ, SpeechRequest, blame
from tts_engine.settings import TtsSettings, load_tts_settings

app = typer.Typer(help="The speech server, and speech from the shell.", no_args_is_help=True, add_completion=False)
console = Console(stderr=True)

_Config = Annotated[Path | None, typer.Option("--config", help="TOML file with a \\[tts] section.")]
_Backend = Annotated[str | None, typer.Option(help="espeak, torch or vllm.")]


@app.command("serve")
def serve_command(
    config: _Config = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0: any free one.")] = None,
    backend: _Backend = None,
) -> None:
    """Serve speech over HTTP and WebSocket until SIGTERM."""
    settings = _settings(config, {"host": host, "port": port, "backend": backend})
    told = _standard_output_alone()
    _run(serve(settings, on_ready=lambda url: typer.echo(f"speech server ready at {url}", file=told)))


@app.command("engine")
def engine_command(
    config: _Config = None,
    socket: Annotated[Path | None, typer.Option(help="Unix socket to listen on; \\[tts.csm] engine_socket.")] = None,
    backend: _Backend = None,
) -> None:
    """Run a CSM engine that several speech servers of this machine share, until SIGTERM."""
    overrides: dict[str, object] = {"backend": backend, "csm": {"engine_socket": socket} if socket else None}
    settings = _settings(config, overrides)
    told = _standard_output_alone()
    try:
        work = import_module("tts_engine.csm_app").serve_engine
    except ImportError as error:
        console.print(f"[red]error:[/red] {escape(str(error))}; pip install 'zeng\\[vllm]'")
        raise typer.Exit(1) from None

    def ready(path: str) -> None:
        typer.echo(f"speech engine ready at {path}", file=told)

    _run(work(settings, on_ready=ready))


@app.command("say")
def say_command(
    text: Annotated[str, typer.Argument(help="What to say, with numbers as words.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="WAV file to write.", dir_okay=False, writable=True)],
    voice: Annotated[str, typer.Option(help="A voice of the backend.")] = "",
    speed: Annotated[float, typer.Option(min=0.25, max=4.0)] = 1.0,
    url: Annotated[str | None, typer.Option(help="A running server; without it, the voice is started here.")] = None,
    config: _Config = None,
    backend: _Backend = None,
) -> None:
    """Say one thing into a WAV file."""
    settings = _settings(config, {"backend": backend})
    if not output.parent.is_dir():  # before minutes are spoken
        raise typer.BadParameter(f"there is no folder {output.parent}", param_hint="--output")
    try:
        request = SpeechRequest(text=text, voice=voice, speed=speed)
    except ValidationError as error:
        raise typer.BadParameter(str(blame(error)), param_hint="TEXT") from None
    pcm = _run(_collect(_from_server(url, request) if url else _from_here(settings, request)))
    output.write_bytes(wav_header(SAMPLE_RATE_HZ, len(pcm)) + pcm)
    console.print(f"{output}: {len(pcm) / BYTES_PER_SECOND:.2f} s")


def _standard_output_alone() -> TextIO:
    """Keep standard output for one line; all that is printed, by libraries and the engine's process too, is log.

    Whoever starts this process reads that line and may read no further: a pipe that is full would hold the loop up.
    """
    sys.stdout.flush()
    alone = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return alone


async def _from_server(url: str, request: SpeechRequest) -> AsyncGenerator[bytes, None]:
    async with SpeechClient(url, warm_links=0) as client, aclosing(client.speak(request)) as audio:
        async for pcm in audio:
            yield pcm


async def _from_here(settings: TtsSettings, request: SpeechRequest) -> AsyncGenerator[bytes, None]:
    engine = build_engine(settings, SpeechMetrics(CollectorRegistry()))
    try:
        await engine.start()
        async with engine.speak(request) as utterance, aclosing(utterance.audio()) as audio:
            async for pcm in audio:
                yield pcm
    finally:
        await engine.close()


async def _collect(audio: AsyncGenerator[bytes, None]) -> bytes:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    said = bytearray()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting the voice", total=None)
        async with aclosing(audio):
            async for pcm in audio:
                said += pcm
                progress.update(task, description=f"{len(said) / BYTES_PER_SECOND:.1f} s of speech")
    return bytes(said)


def _settings(config: Path | None, overrides: dict[str, object]) -> TtsSettings:
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return load_tts_settings(config, given)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _run(work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401  # whatever the work gives
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work)
    except SpeechError as error:
        console.print(f"[red]error:[/red] {escape(str(error))}")
        raise typer.Exit(1) from None
