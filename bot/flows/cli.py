"""`zeng flow`: check, draw, test, try out and translate call flows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Annotated, NoReturn

import typer
import yaml

from bot.errors import FlowError
from bot.flows.compile import compile_flow
from bot.flows.flow import Flow
from bot.flows.graph import mermaid
from bot.flows.loader import load_flow, read_flow, read_text
from bot.flows.problems import FlowFileError, Problem, Severity
from bot.flows.schema import schema_text
from bot.flows.shipped import flow_path
from bot.flows.svg import svg
from bot.flows.terminal import converse
from bot.flows.testing import Outcome, load_suite, run_suite
from bot.flows.variables import check_declared, pairs_of

app = typer.Typer(help="Check, draw, test, try out and translate call flows.", no_args_is_help=True)

_FLOW, _TEST = ".flow.yaml", ".test.yaml"

FlowPath = Annotated[Path, typer.Argument(help="A flow file (*.flow.yaml), or a flow that ships.", show_default=False)]
Paths = Annotated[list[Path], typer.Argument(help="Files, folders to search, or flows that ship.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def lint(
    paths: Paths, as_json: AsJson = False, strict: Annotated[bool, typer.Option(help="Fail on warnings too.")] = False
) -> None:
    """Find mistakes in flow files. Exits with 1 when there are errors."""
    found = list(_found(paths, _FLOW))
    problems = [problem for path in found for problem in _problems(path)]
    if as_json:
        typer.echo(json.dumps([_as_dict(problem) for problem in problems], ensure_ascii=False, indent=2))
    else:
        for problem in problems:
            typer.echo(str(problem))
        typer.echo(_summary(problems), err=True)
    if not found:
        typer.echo(f"no *{_FLOW} in {', '.join(map(str, paths))}", err=True)
    if not found or any(strict or problem.severity is Severity.ERROR for problem in problems):
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
    took_s = 0.0
    for path in _found(paths, _TEST):
        try:
            (suite, document), flow = load_suite(path), load_flow(_flow_of(path))
        except FlowFileError as error:
            _fail(error)
        began = perf_counter()
        found = run_suite(flow, suite, document)
        took_s += perf_counter() - began
        for outcome in found:
            _report(path, outcome)
        outcomes += found
    failed = sum(bool(outcome.failures) for outcome in outcomes)
    pace = f" in {took_s:.2f} s, {len(outcomes) / took_s:.0f} a second" if outcomes else ""
    typer.echo(f"{len(outcomes) - failed} passed, {failed} failed{pace}", err=True)
    if failed or not outcomes:
        raise typer.Exit(1)


@app.command()
def chat(
    path: FlowPath,
    private_host: Annotated[
        list[str] | None, typer.Option(help="A host with a private address that tools may call; loopback always may.")
    ] = None,
    variable: Annotated[list[str] | None, typer.Option(help="NAME=VALUE of a flow variable.")] = None,
) -> None:
    """Talk to a flow in the terminal: a line is speech, `/1` presses keys, an empty line is silence."""
    flow = _loaded(path)
    try:
        variables = pairs_of(variable or [])
        check_declared(flow, variables)
    except (ValueError, FlowError) as error:
        raise typer.BadParameter(str(error)) from None
    converse(flow, variables=variables, private_hosts=tuple(private_host or ()))


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
        elif (found := _path(path)) != path:
            yield from _found([found], ending)
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
    warnings = len(problems) - errors
    return f"{errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}"


def _loaded(path: Path) -> Flow:
    try:
        return load_flow(_path(path))
    except FlowFileError as error:
        _fail(error)


def _path(path: Path) -> Path:
    try:
        return flow_path(path)
    except FlowError as error:
        _fail(error)


def _fail(error: FlowError) -> NoReturn:
    typer.echo(str(error), err=True)
    raise typer.Exit(1)


def _report(path: Path, outcome: Outcome) -> None:
    typer.echo(f"{'FAIL' if outcome.failures else 'ok  '} {path.name}:{outcome.line}: {outcome.name}")
    for failure in outcome.failures:
        typer.echo(f"     {path}:{failure.line}: {failure.message}")
