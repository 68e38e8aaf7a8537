"""What can go wrong in the bot.

BotError
├── SettingsError      a setting is wrong; names it and the remedy          (operator)
├── FlowError          a flow file is wrong; file, line, remedy             (operator)
├── ModelFileError     a model cannot be had or its sha256 differs          (operator; retry if network)
├── RecognitionError   the recogniser failed on this turn                   (service; the ladder goes on)
├── LlmError           the language model failed on this turn               (service; the rules go on)
├── ConversationError  Redis is away or refused                             (service; the call goes on)
└── ServiceStartError  a process of the service did not come up             (operator)
"""

from __future__ import annotations


class BotError(Exception):
    """Base of all bot errors."""

    retryable = False


class SettingsError(BotError):
    """A setting is wrong; the message names it and the remedy."""


class FlowError(BotError):
    """A flow file is wrong."""


class ModelFileError(BotError):
    """A model file cannot be had, or is not the one that was asked for."""


class RecognitionError(BotError):
    """The recogniser failed on this turn."""

    retryable = True


class LlmError(BotError):
    """The language model failed on this turn."""

    retryable = True


class ConversationError(BotError):
    """The conversation store is away or refused."""

    retryable = True


class ServiceStartError(BotError):
    """A process of the service did not come up."""
