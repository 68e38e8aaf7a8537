"""`zeng`: one command; each subcommand's package is imported only when it is asked for."""

from __future__ import annotations

import importlib
import os
import sys
from importlib.metadata import version

import typer

from bot.errors import BotError

# name → (module, attribute, what it does). Imported lazily: `zeng flow lint` must not load torch.
_COMMANDS = {
    "demo": ("bot.edge.cli", "demo", "serve the bot on this machine with all that it needs"),
    "serve": ("bot.edge.cli", "serve", "serve the bot with the settings of a file"),
    "dial": ("bot.dial", "dial", "have the running service call somebody"),
    "chat": ("bot.commands", "chat", "the same conversation, typed"),
    "doctor": ("bot.commands", "doctor", "what is missing on this machine, and the remedy"),
    "finetune": ("finetune.cli", "app", "from recordings to a voice"),
    "flow": ("bot.flows.cli", "app", "check, draw, test and compile call flows"),
    "loadtest": ("bot.loadtest.cli", "app", "call a bot many times at once and measure it"),
    "models": ("bot.commands", "models_app", "list and fetch model files"),
    "stt": ("bot.commands", "stt_app", "the speech recognition server"),
    "tts": ("tts_engine.cli", "app", "the speech server, and speech from the shell"),
}


def main() -> None:
    """Run the subcommand named first; an error of ours is one line and exits with 1, a wrong command line with 2."""
    arguments = sys.argv[1:]
    os.environ.setdefault("LOGURU_LEVEL", "WARNING")  # Pipecat greets as it is imported, here and in our children
    if not arguments or arguments[0] in {"--help", "-h", "help"}:
        print(_usage())  # noqa: T201  # a command's output
        return
    if arguments[0] == "--version":
        print(f"zeng {version('zeng')}")  # noqa: T201
        return
    name, *rest = arguments
    if name not in _COMMANDS:
        print(f"zeng: no command {name!r}\n\n{_usage()}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2)
    module, attribute, _ = _COMMANDS[name]
    command = getattr(importlib.import_module(module), attribute)
    if not isinstance(command, typer.Typer):
        app = typer.Typer(add_completion=False)
        app.command()(command)
        command = app
    try:
        command(args=rest, prog_name=f"zeng {name}")
    except BotError as error:
        print(f"zeng: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from error


def _usage() -> str:
    width = max(map(len, _COMMANDS))
    lines = [f"  {name:<{width}}  {what}" for name, (_, _, what) in _COMMANDS.items()]
    return "usage: zeng COMMAND [--help], or zeng --version\n\n" + "\n".join(lines)


if __name__ == "__main__":
    main()
