"""Seconds from the start of a process to the end of its first update of the character model."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from statistics import median

from .cases import CHAR_LM, random_ids

__all__ = ["compare"]


def compare(cold: int, warm: int) -> dict[str, float]:
    """Medians of so many starts: bptt with no kernel in the cache and with all, and PyTorch."""
    times: dict[str, list[float]] = {"bptt, cold": [], "bptt, warm": [], "torch": []}
    share = -(-warm // cold)
    for _ in range(cold):
        with tempfile.TemporaryDirectory() as cache:
            times["bptt, cold"].append(_seconds("bptt", cache))
            for _ in range(share):
                times["bptt, warm"].append(_seconds("bptt", cache))
                if find_spec("torch") is not None:
                    times["torch"].append(_seconds("torch", cache))
    return {name: median(found) for name, found in times.items() if found}


def _seconds(system: str, cache: str) -> float:
    """Of one start, with Numba's cache in the folder ``cache``."""
    began = time.time()
    child = subprocess.run(
        [sys.executable, "-m", "benchmarks.startup", system],
        env={**os.environ, "NUMBA_CACHE_DIR": cache},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
        text=True,
    )
    return float(child.stdout.split()[-1]) - began


def _first_update(system: str) -> None:
    """Make the model and its data, update once, and say when that was done."""
    ids = random_ids(CHAR_LM, windows=2)
    if system == "bptt":
        import bptt

        from .char_lm import trainer_of

        next(trainer_of(CHAR_LM, CHAR_LM.steps).steps(bptt.Stream(ids, CHAR_LM.lanes)))
    else:
        from .torch_char_lm import TorchCharLM, lanes_of

        TorchCharLM(CHAR_LM, lanes_of(ids, CHAR_LM), os.cpu_count() or 1, {}).update()
    print(time.time())


if __name__ == "__main__":
    _first_update(sys.argv[1])
