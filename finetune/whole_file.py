"""`whole_file`: a file that appears only when it is whole: not on a full disk, and not when its writer is killed."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Generator[Path]:
    """Give where to write it meanwhile; what fails leaves nothing, and what was there before stays."""
    partial = path.with_suffix(".partial")
    try:
        yield partial
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
