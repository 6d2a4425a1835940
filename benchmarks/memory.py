"""Peak memory of one window, forward and back, beyond what weights and inputs take.

Each measurement has a process of its own. It makes the model and the input, runs a tiny window so
that libraries and kernels are loaded, sets the kernel's record of the peak back to what is in use
(Linux: ``/proc/self/clear_refs``), runs the window, and reads how much higher the record is then.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from .cases import CHAR_LM, Case, CharLM, random_ids

__all__ = ["CASES", "available", "compare"]

CASES: dict[str, Case | CharLM] = {
    "LSTM (64, 35, 650, 650)": Case(64, 35, 650, 650),
    "LSTM (128, 128, 128, 512)": Case(128, 128, 128, 512),
    "char-LM": CHAR_LM,
}
"""Name -> sizes of one LSTM layer, or the character model."""


def available() -> bool:
    """Whether this system lets a process reset its record of the peak."""
    return Path("/proc/self/clear_refs").exists()


def compare() -> list[dict[str, Any]]:
    """Megabytes of each system for each case, and the ratio of bptt's to PyTorch's."""
    systems = ["bptt"] + ["torch"] * (find_spec("torch") is not None)
    rows = []
    for name in CASES:
        megabytes = {system: _megabytes(system, name) for system in systems}
        ratio = megabytes["bptt"] / megabytes["torch"] if "torch" in megabytes else None
        rows.append({"case": name, "mb": megabytes, "ratio": ratio})
    return rows


def _megabytes(system: str, case: str) -> float:
    command = [sys.executable, "-m", "benchmarks.memory", system, case]
    child = subprocess.run(command, capture_output=True, check=True, text=True)
    return json.loads(child.stdout.splitlines()[-1])


def _status(name: str) -> float:
    """MB of a line of this process's status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))


def _measure(system: str, case: Case | CharLM) -> float:
    window = _window(system, case)
    if isinstance(case, Case):
        small: Case | CharLM = Case(2, 2, 16, 16)
    else:
        small = case._replace(lanes=2, steps=2, embedding=16, n=16)
    _window(system, small)()
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    kept = window()
    peak = _status("VmHWM")
    del kept
    return peak - before


def _window(system: str, case: Case | CharLM) -> Callable[[], Any]:
    """Forward and back over arrays that exist already; returns what the user keeps."""
    if system == "bptt":
        from .memory_bptt import char_lm, layer
    else:
        from .memory_torch import char_lm, layer
    if isinstance(case, CharLM):
        ids = random_ids(case, windows=1)
        shape = case.steps, case.lanes
        return char_lm(case, ids[:-1].reshape(shape), ids[1:].reshape(shape))
    rng = np.random.default_rng(0)
    x, targets = (
        rng.normal(size=(case.steps, case.lanes, size)).astype(np.float32)
        for size in (case.n_in, case.n)
    )
    return layer(case, x, targets)


if __name__ == "__main__":
    print(_measure(sys.argv[1], CASES[sys.argv[2]]))
