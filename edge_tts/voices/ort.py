"""onnxruntime sessions with the options a small board wants."""

from __future__ import annotations

import ctypes
from pathlib import Path

import onnxruntime as ort

from edge_tts.errors import BundleError

THREAD_SPINNING = "session.intra_op.allow_spinning"


def open_session(path: Path, threads: int = 1, *, one_shape: bool = True) -> ort.InferenceSession:
    """Open an ONNX file on the CPU with `threads` threads that sleep while there is nothing to do.

    Without `one_shape` no memory plan is kept for each shape of the inputs: where shapes vary, plans only add up.
    Raises BundleError naming the file when onnxruntime refuses it.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry(THREAD_SPINNING, "0")
    options.enable_mem_pattern = one_shape
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises classes of its own that share no public root
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise BundleError(f"{path}: onnxruntime cannot load it: {reason}") from error


def return_freed_memory() -> None:
    """Give the heap that loading large graphs has freed, up to 50 MB, back to the system; glibc would keep it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
