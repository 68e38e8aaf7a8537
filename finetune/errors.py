"""What can go wrong in a run of `zeng finetune`, and whose fault it is.

FinetuneError
├── ConfigError      a setting is missing, unknown or out of range; `field` names it        (user's fault)
├── CorpusError      the corpus or the prepared folder cannot be used as a whole            (user's fault)
├── TrainingError    the run diverged or cannot be resumed; the message says what to change (run's fault)
└── RecogniserError  the recogniser for the error rate cannot be used                       (user's fault)

One bad clip is never an error: it is rejected with a reason (`finetune.data.reasons`) and the run goes on.
"""

from __future__ import annotations


class FinetuneError(Exception):
    """Base of all errors of fine-tuning; its message is fit to be shown as it is."""


class ConfigError(FinetuneError):
    """A setting is wrong; `field` is its dotted name, empty if it is the file itself."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field


class CorpusError(FinetuneError):
    """The corpus or the prepared folder cannot be used; the message says what is expected there."""


class TrainingError(FinetuneError):
    """The run cannot go on."""


class RecogniserError(FinetuneError):
    """The recogniser cannot be loaded or did not answer."""
