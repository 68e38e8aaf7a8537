"""README.md and docs/: every link leads somewhere, and every file, command, option and make target named is there."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from bot.cli import _COMMANDS
from bot.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "tests" / "gpu" / "README.md"]
OURS = re.compile(r"\b(?:bot|telephony|tts_engine|finetune|tests|docs|docker)/[\w./*-]*\w")
MADE = re.compile(r"build/|/runs/|weights/voice")  # what the commands of a page write
SHELL_WORDS = {"#", "|", "||", "&&", ";", "&", ">", "\\"}

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def code(page: Path) -> Iterator[str]:
    """Each line of a fenced block, and each span in backticks."""
    text = page.read_text("utf-8").replace("\\\n", " ")
    for block in re.findall(r"^```(?:sh|bash)?\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        yield from block.splitlines()
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    for span in re.findall(r"`([^`]+)`", prose):
        yield " ".join(span.split())


def anchors(page: Path) -> set[str]:
    """What GitHub makes of its headings."""
    headings = re.findall(r"^#+ +(.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pages
def test_every_link_leads_to_a_page_and_a_heading_that_are_there(page: Path) -> None:
    broken: list[str] = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert not broken


@pages
def test_every_file_of_ours_that_is_named_is_there(page: Path) -> None:
    named = {found for span in code(page) for found in OURS.findall(span) if not MADE.search(span)}
    places = ("{}", "{}.*", "tests/*/{}")  # as it is, as the name of a module, as a test is named by its mirror
    assert not {name for name in named if not any(any(ROOT.glob(place.format(name))) for place in places)}


@pages
def test_every_settings_file_that_is_shown_is_taken(page: Path, tmp_path: Path) -> None:
    for number, block in enumerate(
        re.findall(r"^ *```toml\n(.*?)^ *```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    ):
        if not re.search(rf"^ *\[+({'|'.join(Settings.model_fields)})[.\]]", block, re.MULTILINE):
            continue  # a voice.toml
        file = tmp_path / f"{number}.toml"
        file.write_text(block, encoding="utf-8")
        assert load_settings(file), block


@cache
def command_of(name: str) -> Any:  # a Command of the click that typer carries
    module, attribute, *_ = _COMMANDS[name]
    found = getattr(importlib.import_module(module), attribute)
    if not isinstance(found, typer.Typer):
        app = typer.Typer(add_completion=False)
        app.command()(found)
        found = app
    return typer.main.get_command(found)


def faults_of(words: list[str]) -> list[str]:
    """What is wrong with the words after `zeng`."""
    if not words or words[0].startswith("-") or words[0].isupper():
        return []
    if words[0] not in _COMMANDS:
        return [f"no command {words[0]!r}"]
    command, rest = command_of(words[0]), words[1:]
    while (inner := getattr(command, "commands", None)) and rest and re.fullmatch(r"[a-z][a-z-]*", rest[0]):
        if rest[0] not in inner:
            return [f"no command {rest[0]!r}"]
        command, rest = inner[rest[0]], rest[1:]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    options = {word.partition("=")[0] for word in rest if word.startswith("--")} - {"--help"}
    return [f"no option {option!r}" for option in options - known]


@pages
def test_every_command_of_zeng_is_one_and_takes_the_options_that_it_is_given(page: Path) -> None:
    wrong: dict[str, list[str]] = {}
    for line in code(page):
        found = re.match(r"(?:\$ )?(?:[A-Z_]+=\S+ )*(?:\S*/)?zeng +(\S.*)", line.strip())
        if found is None:
            continue
        try:
            words = shlex.split(found[1], comments=True)
        except ValueError:  # prose
            words = found[1].split()
        end = next((at for at, word in enumerate(words) if word in SHELL_WORDS), len(words))
        if faults := faults_of([word.rstrip(",.:;") for word in words[:end]]):
            wrong[line] = faults
    assert not wrong


@pages
def test_every_target_of_make_and_every_module_that_is_run_is_there(page: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    wrong: set[str] = set()
    for line in code(page):
        if made := re.match(r"make ([a-z][\w -]*)", line.strip()):
            wrong |= set(made[1].split("#")[0].split()) - targets if "=" not in line else set()
        for module in re.findall(r"python3? -m ((?:bot|telephony|tts_engine|finetune|tests)[\w.]*)", line):
            path = ROOT / module.replace(".", "/")
            if not (path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()):
                wrong.add(module)
    assert not wrong


def metrics_made() -> Iterator[tuple[str, str]]:
    """Each metric of the code as the page has it: its name with its labels, and its kind."""
    kinds = {"Counter", "Gauge", "Histogram", "CounterMetricFamily", "GaugeMetricFamily"}
    for package in ("bot", "telephony", "tts_engine"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                match node:
                    case ast.Call(func=ast.Name(id=made), args=[ast.Constant(value=str(name)), *rest]) if made in kinds:
                        named = (key.value for key in node.keywords if key.arg == "labels")
                        labels = next((each for each in (*rest, *named) if isinstance(each, ast.List)), None)
                        kind = made.removesuffix("MetricFamily").lower()
                        name += "_total" * (kind == "counter")
                        inner = ",".join(ast.literal_eval(labels)) if labels else ""
                        yield f"{name}{{{inner}}}" if inner else name, kind
                    case _:
                        pass


def test_every_metric_is_on_its_page_with_its_labels_and_no_other() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    assert sorted(re.findall(r"^\| `(zeng_\S+)` \| (\w+) \|", page, re.MULTILINE)) == sorted(metrics_made())
