"""`session_of`: an ONNX network whose weights a package ships, run on the thread that asks."""

from __future__ import annotations

from importlib import resources

import onnxruntime


def session_of(package: str, file: str) -> onnxruntime.InferenceSession:
    """Open it on one thread of the processor: threads of its own would wait by spinning, on cores that calls share."""
    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = options.intra_op_num_threads = 1
    with resources.as_file(resources.files(package).joinpath(file)) as path:
        return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"], sess_options=options)
