"""Small ONNX models inside this process: one thread, one session each, shared by all calls."""

from functools import lru_cache
from pathlib import Path

import onnxruntime

from calls.ports import ProviderUnavailable


@lru_cache(maxsize=8)
def shared_session(path: Path) -> onnxruntime.InferenceSession:
    """Loaded once per process. `run` may be called from several threads at a time."""
    if not path.is_file():
        raise ProviderUnavailable(f"The model {path.name} is not in the models folder.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
