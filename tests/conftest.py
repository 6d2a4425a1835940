"""Settings of the suite."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from bptt.kernels import calls

settings.register_profile("bptt", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("bptt")


@pytest.fixture(autouse=True, scope="session")
def _types_stay_the_same():
    """What `Calls` take for granted is looked at, in every test: types are those of the first."""
    compiled = calls._compiled

    @wraps(compiled)
    def watched(kernel: Any, first: tuple[Any, ...]) -> Callable[..., Any]:
        run, known = compiled(kernel, first), _kind(first)

        def call(*args: Any) -> Any:
            assert _kind(args) == known, f"{kernel.__name__} was given other types"
            return run(*args)

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calls, "_compiled", watched)
        yield


def _kind(value: Any) -> Any:
    """What Numba's type of ``value`` follows from; its own look-up takes too long for a suite."""
    if isinstance(value, tuple):
        return tuple(map(_kind, value))
    if isinstance(value, np.ndarray):
        return value.dtype, value.ndim, value.flags.c_contiguous, value.flags.writeable
    return type(value)
