"""`zeng`: one command; each subcommand's package is imported only when it is asked for."""

from __future__ import annotations

import importlib
import os
import sys
from importlib.metadata import version

import typer

from bot.errors import BotError

# name → (module, attribute, extra, what it does). Imported lazily: `zeng flow lint` must not load torch.
_COMMANDS = {
    "demo": ("bot.edge.cli", "demo", "bot", "serve the bot on this machine with all that it needs"),
    "serve": ("bot.edge.cli", "serve", "bot", "serve the bot with the settings of a file"),
    "dial": ("bot.dial", "dial", "bot", "have the running service call somebody"),
    "chat": ("bot.commands", "chat", "bot", "the same conversation, typed"),
    "conversation": ("bot.context.cli", "app", "bot", "what was said in a call, or its removal"),
    "doctor": ("bot.commands", "doctor", "bot", "what is missing on this machine, and the remedy"),
    "finetune": ("finetune.cli", "app", "finetune", "from recordings to a voice"),
    "flow": ("bot.flows.cli", "app", "bot", "check, draw, test and compile call flows"),
    "loadtest": ("bot.loadtest.cli", "app", "loadtest", "call a bot many times at once and measure it"),
    "models": ("bot.commands", "models_app", "bot", "list and fetch model files"),
    "stt": ("bot.commands", "stt_app", "bot", "the speech recognition server"),
    "tts": ("tts_engine.cli", "app", "tts", "the speech server, and speech from the shell"),
}
_OURS = {"bot", "finetune", "telephony", "tts_engine"}
# Set before anything reads them, here and in our children. ONNX Runtime tells Microsoft of each network that it opens,
# vLLM and the hub's library tell their makers of the machine: not of a call centre's. Pipecat greets as it is imported.
_SILENCE = {"ORT_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", "LOGURU_LEVEL": "WARNING"}


def main() -> None:
    """Run the subcommand named first; an error of ours, or an extra that is missing, is one line and exits with 1."""
    arguments = sys.argv[1:]
    for variable, value in _SILENCE.items():
        os.environ.setdefault(variable, value)
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
    try:
        _run(name, rest)
    except BotError as error:
        print(f"zeng: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from error
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in _OURS | {""}:
            raise
        remedy = f"{sys.executable} -m pip install 'zeng[{_COMMANDS[name][2]}]'"
        print(f"zeng {name}: {missing} is not installed: {remedy}", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from error


def _run(name: str, arguments: list[str]) -> None:
    module, attribute, _, _ = _COMMANDS[name]
    command = getattr(importlib.import_module(module), attribute)
    if not isinstance(command, typer.Typer):
        app = typer.Typer(add_completion=False)
        app.command()(command)
        command = app
    command(args=arguments, prog_name=f"zeng {name}")


def _usage() -> str:
    width = max(map(len, _COMMANDS))
    lines = [f"  {name:<{width}}  {what}" for name, (_, _, _, what) in _COMMANDS.items()]
    return "usage: zeng COMMAND [--help], or zeng --version\n\n" + "\n".join(lines)


if __name__ == "__main__":
    main()
