"""What can be wrong with a model on disk or with what is asked of it.

ModelError
├── CheckpointError   a file, a tensor or a setting of the checkpoint is missing or does not fit   (operator's fault)
└── PromptError       the text or the audio codes cannot become a prompt; `field` names which      (caller's fault)
"""

from __future__ import annotations


class ModelError(Exception):
    """Base of all errors of the model package."""


class CheckpointError(ModelError):
    """The checkpoint cannot be used; the message names the file or tensor and the remedy."""


class PromptError(ModelError):
    """The text or the codes cannot become a prompt; `field` names the part at fault."""

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.field = field
