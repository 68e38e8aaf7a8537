"""`zeng flow`: check, draw, test, try out and translate call flows."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, NoReturn
from zoneinfo import ZoneInfo

import typer
import yaml

from bot.flows.actions import CallTool, HangUp, Say, SlotFilled, StateEntered, ToolAnswered, Transfer
from bot.flows.compile import compile_flow
from bot.flows.flow import Flow
from bot.flows.graph import mermaid
from bot.flows.loader import load_flow, read_flow, read_text
from bot.flows.problems import FlowFileError, Problem, Severity
from bot.flows.rehearsal import Rehearsal
from bot.flows.schema import schema_text
from bot.flows.svg import svg
from bot.flows.testing import Outcome, load_suite, run_suite
from bot.flows.tools import ToolClient

app = typer.Typer(help="Check, draw, test, try out and translate call flows.", no_args_is_help=True)

_FLOW, _TEST = ".flow.yaml", ".test.yaml"
_LOOPBACK = ("127.0.0.1", "localhost")
_BAKU = ZoneInfo("Asia/Baku")

FlowPath = Annotated[Path, typer.Argument(help="A flow file (*.flow.yaml).", show_default=False)]
Paths = Annotated[list[Path], typer.Argument(help="Files, or folders to search.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def lint(
    paths: Paths, as_json: AsJson = False, strict: Annotated[bool, typer.Option(help="Fail on warnings too.")] = False
) -> None:
    """Find mistakes in flow files. Exits with 1 when there are errors."""
    problems = [problem for path in _found(paths, _FLOW) for problem in _problems(path)]
    if as_json:
        typer.echo(json.dumps([_as_dict(problem) for problem in problems], ensure_ascii=False, indent=2))
    else:
        for problem in problems:
            typer.echo(str(problem))
        typer.echo(_summary(problems), err=True)
    if any(strict or problem.severity is Severity.ERROR for problem in problems):
        raise typer.Exit(1)


@app.command()
def graph(
    path: FlowPath,
    as_svg: Annotated[bool, typer.Option("--svg", help="Draw it as SVG instead.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file; one that ends in .svg is SVG.", show_default=False)
    ] = None,
) -> None:
    """Draw the flow as a Mermaid flowchart, or as SVG."""
    flow = _loaded(path)
    drawn = svg(flow) if as_svg or (output is not None and output.suffix == ".svg") else mermaid(flow)
    if output is None:
        typer.echo(drawn, nl=False)
    else:
        output.write_text(drawn, encoding="utf-8")


@app.command()
def test(paths: Paths) -> None:
    """Run the tests (*.test.yaml) of flows. Exits with 1 when one fails."""
    outcomes: list[Outcome] = []
    for path in _found(paths, _TEST):
        try:
            suite, document = load_suite(path)
            found = run_suite(load_flow(_flow_of(path)), suite, document)
        except FlowFileError as error:
            _fail(error)
        for outcome in found:
            _report(path, outcome)
        outcomes += found
    failed = sum(bool(outcome.failures) for outcome in outcomes)
    typer.echo(f"{len(outcomes) - failed} passed, {failed} failed", err=True)
    if failed or not outcomes:
        raise typer.Exit(1)


@app.command()
def chat(
    path: FlowPath,
    private_host: Annotated[
        list[str] | None, typer.Option(help="A host with a private address that tools may call; loopback always may.")
    ] = None,
    variable: Annotated[list[str] | None, typer.Option(help="name=value of a flow variable.")] = None,
) -> None:
    """Talk to a flow in the terminal: a line is speech, `#` and digits are keys, an empty line is silence."""
    flow = _loaded(path)
    variables = dict(pair.split("=", 1) for pair in variable or [] if "=" in pair)
    tools = _HttpTools(flow, (*_LOOPBACK, *(private_host or [])))
    call = Rehearsal(flow, at=datetime.now(_BAKU).replace(tzinfo=None), variables=variables, tools=tools)
    call.start()
    _show(call)
    while call.ended is None:
        try:
            line = input("> ").strip()
        except (EOFError, KeyboardInterrupt):
            break
        if line.startswith("#"):
            call.press(line[1:] or "#")
        elif line:
            call.hear(line)
        else:
            call.wait()
        _show(call)


@app.command("compile")
def compile_(path: FlowPath, as_json: AsJson = False) -> None:
    """Translate a flow to Pipecat's FlowConfig. The handlers that it needs are listed on stderr."""
    compiled = compile_flow(_loaded(path))
    if as_json:
        typer.echo(json.dumps(compiled.config, ensure_ascii=False, indent=2))
    else:
        typer.echo(yaml.safe_dump(dict(compiled.config), allow_unicode=True, sort_keys=False, width=110), nl=False)
    typer.echo(f"handlers to supply: {', '.join(compiled.handlers) or 'none'}", err=True)


@app.command()
def schema() -> None:
    """Print the JSON schema of flow files, for editors."""
    typer.echo(schema_text(), nl=False)


def _found(paths: list[Path], ending: str) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(path.rglob(f"*{ending}"))
        elif ending == _TEST and path.name.endswith(_FLOW):
            yield path.with_name(path.name.removesuffix(_FLOW) + _TEST)
        else:
            yield path


def _flow_of(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(_TEST) + _FLOW)


def _problems(path: Path) -> list[Problem]:
    try:
        return read_flow(read_text(path), file=str(path))[1]
    except FlowFileError as error:
        return list(error.problems)


def _as_dict(problem: Problem) -> dict[str, object]:
    return {
        "file": problem.file,
        "line": problem.line,
        "severity": problem.severity.value,
        "code": problem.code,
        "message": problem.message,
        "remedy": problem.remedy,
        "path": list(problem.path),
    }


def _summary(problems: list[Problem]) -> str:
    errors = sum(problem.severity is Severity.ERROR for problem in problems)
    return f"{errors} errors, {len(problems) - errors} warnings"


def _loaded(path: Path) -> Flow:
    try:
        return load_flow(path)
    except FlowFileError as error:
        _fail(error)


def _fail(error: FlowFileError) -> NoReturn:
    typer.echo(str(error), err=True)
    raise typer.Exit(1)


def _report(path: Path, outcome: Outcome) -> None:
    typer.echo(f"{'FAIL' if outcome.failures else 'ok  '} {path.name}:{outcome.line}: {outcome.name}")
    for failure in outcome.failures:
        typer.echo(f"     {path}:{failure.line}: {failure.message}")


def _show(call: Rehearsal) -> None:
    for action in call.actions:
        match action:
            case Say(text=text):
                typer.echo(text)
            case Transfer(to=to):
                typer.echo(f"[transfer to {to}]")
            case HangUp(reason=reason):
                typer.echo(f"[hang up: {reason.value}]")
            case StateEntered(state=state, why=why):
                typer.secho(f"[state {state}: {why}]", dim=True)
            case SlotFilled(name=name, value=value):
                typer.secho(f"[slot {name} = {value}]", dim=True)
            case _:
                pass


class _HttpTools:
    """Calls the real tools, one at a time, each on a loop of its own."""

    def __init__(self, flow: Flow, private_hosts: tuple[str, ...]) -> None:
        self._flow = flow
        self._private_hosts = private_hosts

    def __call__(self, call: CallTool) -> ToolAnswered:
        return asyncio.run(self._call(call))

    async def _call(self, call: CallTool) -> ToolAnswered:
        async with ToolClient(secrets_by_name=os.environ, private_hosts=self._private_hosts) as client:
            return await client.call(self._flow, call)
