"""Reads flow files: YAML to a checked `Flow`, with every mistake at its line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path as FilePath

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bot.flows.flow import Flow
from bot.flows.lint import lint
from bot.flows.problems import FlowFileError, Problem, Severity
from bot.flows.remedies import choice, explained, unknown_key
from bot.flows.source import Document, Path, Value, parse_document

LIBRARY = FilePath(__file__).parent / "library"
_INCLUDES = LIBRARY / "includes"
_INCLUDED = ("intents", "slots", "tools", "variables", "states")


def load_flow(path: FilePath) -> Flow:
    """Load a flow file; raise `FlowFileError` with every error in it. Warnings are left to `zeng flow lint`."""
    return parse_flow(read_text(path), file=str(path))


def parse_flow(text: str, *, file: str) -> Flow:
    """Load a flow from the text of its file, as `load_flow` does."""
    flow, problems = read_flow(text, file=file)
    errors = [problem for problem in problems if problem.severity is Severity.ERROR]
    if flow is None or errors:
        raise FlowFileError(errors)
    return flow


def read_text(path: FilePath) -> str:
    """Read a file as UTF-8; raise `FlowFileError` when that cannot be done."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise FlowFileError([_problem(path, "encoding", "the file is not UTF-8", "Save it as UTF-8.")]) from None
    except OSError as error:
        what = f"the file cannot be read: {error.strerror}"
        raise FlowFileError([_problem(path, "unreadable", what, "Check the path.")]) from None


def sources(path: FilePath) -> tuple[FilePath, ...]:
    """Give the files that a flow's meaning may hang on: its own, and all that it could include."""
    return (path, *sorted(_INCLUDES.glob("*.yaml")))


def read_flow(text: str, *, file: str) -> tuple[Flow | None, list[Problem]]:
    """Check the text of a flow file; the flow is None when its form is wrong, and lint could not look at it."""
    try:
        document = parse_document(text, file=file)
        data = _with_includes(document)
    except FlowFileError as error:
        return None, list(error.problems)
    empty = [_placed(problem, document) for problem in _empty(document.data)]
    try:
        flow = Flow.model_validate(data)
    except ValidationError as error:
        found = problems_from(error, document, Flow)
        return None, [*empty, *(problem for problem in found if problem.path not in {other.path for other in empty})]
    return flow, [*empty, *(_placed(problem, document) for problem in lint(flow))]


def _empty(value: Value, path: Path = ()) -> Iterator[Problem]:
    """Find keys without a value: `say:` with nothing after it, or with a `#` that made the rest a comment."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if inner is None:
            what = f"{'.'.join(map(str, (*path, key)))} has no value"
            yield Problem("no-value", what, "Write one, in quotes if it begins with #, or remove it.", (*path, key))
        yield from _empty(inner, (*path, key))


def _with_includes(document: Document) -> dict[str, Value]:
    """Add what the included files of the library have and the flow itself has not."""
    data = dict(document.data)
    names = data.get("include")
    if not isinstance(names, list):
        return data
    for index, name in enumerate(names):
        path = _INCLUDES / f"{name}.yaml"
        if not isinstance(name, str) or not name.replace("-", "").isalnum() or not path.is_file():
            there = ", ".join(sorted(found.stem for found in _INCLUDES.glob("*.yaml")))
            what = f"there is no include {name!r}"
            raise FlowFileError(
                [_placed(Problem("unknown-include", what, f"There are: {there}.", ("include", index)), document)]
            )
        included = parse_document(read_text(path), file=str(path)).data
        for section in _INCLUDED:
            data[section] = _merged(data.get(section), included.get(section))
        data["defaults"] = _merged(data.get("defaults"), included.get("defaults"))
    return data


def _merged(own: Value, included: Value) -> Value:
    if not isinstance(included, dict):
        return {} if own is None else own
    return {**included, **own} if isinstance(own, dict) else (included if own is None else own)


def problems_from(error: ValidationError, document: Document, model: type[BaseModel]) -> list[Problem]:
    """Turn what pydantic found into problems with their lines."""
    found = [(_in_document(details["loc"], document), details) for details in error.errors(include_url=False)]
    places = [place for place, _ in found]
    return [
        _placed(_problem_of(place, details, model), document)
        for place, details in found
        # a list that lost a bad item is also reported as too short
        if details["type"] != "too_short" or not any(place == other[: len(place)] for other in places if other != place)
    ]


def _problem_of(place: Path, details: ErrorDetails, model: type[BaseModel]) -> Problem:
    kind, location, context = details["type"], details["loc"], details.get("ctx", {})
    if kind == "extra_forbidden":
        what, remedy = unknown_key(str(location[-1]), model)
    elif kind == "literal_error":
        what, remedy = choice(details["input"], str(context["expected"]))
    else:
        what, remedy = explained(kind, location, details["msg"], context)
    name = ".".join(map(str, place)) or "the file"
    return Problem(kind.replace("_", "-"), f"{name}: {what}", remedy, place)


def _in_document(location: Path, document: Document) -> Path:
    """Leave out what pydantic adds to a path: the tag of a state's kind, and `[key]`."""
    if location[:1] == ("states",):
        location = (*location[:2], *location[3:])
    place: Path = ()
    for part in location:
        if (*place, part) in document.lines:
            place = (*place, part)
    return place


def _placed(problem: Problem, document: Document) -> Problem:
    return replace(problem, file=document.file, line=document.line_of(problem.path))


def _problem(path: FilePath, code: str, message: str, remedy: str) -> Problem:
    return Problem(code, message, remedy, file=str(path), line=1)
