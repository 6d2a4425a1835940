"""What the numbers were measured on and with."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bptt.pool import cpu_count

__all__ = ["describe", "load"]

_PACKAGES = ("bptt", "numpy", "numba", "llvmlite", "torch", "jax", "jaxlib")
_FEATURES = ("sse4_2", "avx", "fma", "avx2", "avx512f", "avx512bw", "avx512dq", "avx512vl", "asimd")


def _cpu_info(name: str) -> str:
    """The first line of that name in Linux's description of the CPU; empty elsewhere."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def load() -> list[float] | None:
    """Processes that run or want to, on average over 1, 5 and 15 minutes."""
    return list(os.getloadavg()) if hasattr(os, "getloadavg") else None


def describe() -> dict[str, Any]:
    """Machine, versions and date."""
    flags = set(f"{_cpu_info('flags')} {_cpu_info('Features')}".split())
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "cpu": _cpu_info("model name") or platform.processor() or platform.machine(),
            "cores": cpu_count(),
            "features": [feature for feature in _FEATURES if feature in flags],
            "system": platform.platform(),
            "numba_cpu_name": os.environ.get("NUMBA_CPU_NAME"),
        },
        "versions": {
            "python": platform.python_version(),
            **{package: _version(package) for package in _PACKAGES},
        },
    }
