"""Settings of the suite."""

from collections.abc import Callable
from functools import wraps
from typing import Any

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
        run, known = compiled(kernel, first), _kinds(kernel, first)

        def call(*args: Any) -> Any:
            assert _kinds(kernel, args) == known
            return run(*args)

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calls, "_compiled", watched)
        yield


def _kinds(kernel: Any, args: tuple[Any, ...]) -> list[Any]:
    """The types of all arguments."""
    return [kernel.typeof_pyval(arg) for arg in args]
