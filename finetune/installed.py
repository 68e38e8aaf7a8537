"""Network weights that packages carry: the file is found, the package itself is not imported."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any


def file_in(package: str, name: str) -> Path | None:
    """Find a file inside an installed package; None if the package or the file is not there."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / name
    return path if path.exists() else None


@cache
def onnx_session(path: Path) -> Any:  # noqa: ANN401 - onnxruntime has no types
    """Open an ONNX file on one thread of the processor; workers share the cores among themselves."""
    import onnxruntime  # noqa: PLC0415 - heavy, and only these networks need it

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
