"""Loss and gradient of one window, as a function."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from numpy.typing import ArrayLike, NDArray

from .block import Block
from .checks import check_bound, check_held, check_kind, check_seed, check_workers
from .layers.draws import keys
from .layers.marks import Marks
from .losses import Loss
from .memory import Memory, check_memory, check_stretches
from .model import Model
from .task import Batch, Reach, check_skip
from .watch import flow
from .workers import Workers

__all__ = ["Gradients", "gradients", "value_and_grad"]


class Gradients(NamedTuple):
    """What `gradients` returns.

    loss : mean over the valid targets.
    params : Block, gradient of each parameter.
    x : (T, B, I), gradient of the input; None for ids.
    state : Block, gradient of the state that came in.
    final_state : Block, the state after the last step.
    flow : ``"1.h"`` -> (T,) norms of δ_t, the newest last; ``"1.h_reverse"`` as in `Step`.
    """

    loss: float
    params: Block
    x: NDArray | None
    state: Block
    final_state: Block
    flow: dict[str, NDArray]


def value_and_grad(
    model: Model,
    loss: Loss,
    x: ArrayLike,
    targets: ArrayLike,
    state: Mapping[str, NDArray] | None = None,
    *,
    mask: NDArray | None = None,
    resets: NDArray | None = None,
    ended: NDArray | None = None,
    skip: NDArray | None = None,
    seed: int | None = None,
    clip_delta: float | None = None,
    memory: Memory = None,
    workers: int = 1,
) -> tuple[float, Block, Block]:
    """The loss over ``x``, its gradient through all T steps, and the state after them.

    Parameters
    ----------
    x : (T, B) integer ids, or (T, B, I) floats.
    targets : (n, B) integers or (n, B, O) floats, for the last n <= T steps; where an ``np.ma``
        array is masked they do not count.
    state : to start from, a constant; zeros if None.
    mask : (n, B) bool, False where a target does not count.
    resets : (T, B) bool, True where a new sequence begins: the state is zero there, and no error
        flows back from there.
    ended : (T, B) bool, True where a lane has ended, and x is padding: these steps are skipped.
    skip : (T, B) bool, True where a step is passed over: the state stays as it was before it, the
        error goes on to what was before, and no target counts there, whatever ``mask`` says.
    seed : of what is random in training, and a sign that layers should do what they do in training;
        None for what they do otherwise.
    clip_delta : largest norm of δ_t of a lane, as in `TBPTT`.
    memory : "sqrt", or a budget in MB, to run steps again instead of storing what they left, as in
        `TBPTT`; None to store all.
    workers : threads to use.

    Returns
    -------
    loss : mean over the valid targets.
    grads : Block like ``model.params``.
    state : Block, to go on from.

    Raises
    ------
    DataError : if an id or a float cannot be used.
    ShapeError : if a shape or a dtype does not fit.
    """
    marks = _Given(mask, resets, ended, skip, seed)
    team, mean, _ = _window(
        model, loss, x, targets, state, marks, clip_delta, memory, workers, want_dx=False
    )
    return mean, team.gradient, team.state()


def gradients(
    model: Model,
    loss: Loss,
    x: ArrayLike,
    targets: ArrayLike,
    state: Mapping[str, NDArray] | None = None,
    *,
    mask: NDArray | None = None,
    resets: NDArray | None = None,
    ended: NDArray | None = None,
    skip: NDArray | None = None,
    seed: int | None = None,
    clip_delta: float | None = None,
    memory: Memory = None,
    workers: int = 1,
) -> Gradients:
    """All that `value_and_grad` gives, and the gradients of ``x`` and of ``state``.

    Parameters and errors are those of `value_and_grad`.
    """
    marks = _Given(mask, resets, ended, skip, seed)
    team, mean, bound = _window(
        model, loss, x, targets, state, marks, clip_delta, memory, workers, want_dx=True
    )
    return Gradients(
        loss=mean,
        params=team.gradient,
        x=team.input_gradient(),
        state=team.state_gradient(),
        final_state=team.state(),
        flow=flow(team, team.windows[0].stop, bound),
    )


class _Given(NamedTuple):
    """What a caller says of the steps, unchecked."""

    mask: NDArray | None
    resets: NDArray | None
    ended: NDArray | None
    skip: NDArray | None
    seed: int | None

    def marks(self, model: Model, steps: int, lanes: int) -> Marks:
        if self.seed is not None:
            check_seed(self.seed)
        drawn = keys(self.seed, 0, steps, lanes) if model.trains and self.seed is not None else None
        return Marks(self.resets, check_skip(self.ended, self.skip, (steps, lanes)), drawn)


def _window(
    model: Model,
    loss: Loss,
    x: ArrayLike,
    targets: ArrayLike,
    state: Mapping[str, NDArray] | None,
    given: _Given,
    clip_delta: float | None,
    memory: Memory,
    workers: int,
    *,
    want_dx: bool,
) -> tuple[Workers, float, float]:
    """The workers after one window over all steps, its mean loss, and the bound on δ."""
    check_kind("model", model, Model)
    check_kind("loss", loss, Loss)
    x = model.check_input(x)
    steps, lanes = x.shape[:2]
    state = model.check_state(state, lanes)
    if clip_delta is not None:
        check_bound("clip_delta", clip_delta)
        check_held("clip_delta", clip_delta, model.dtype)
    check_memory(memory)
    if given.seed is not None:
        check_stretches(model.layers, memory)
    check_workers(workers)
    batch = Batch.of(model, loss, x, targets, given.mask, given.marks(model, steps, lanes))
    team = Workers(model, lanes, workers, steps, memory)
    team.reserve(steps)
    team.begin(state)
    bound = math.inf if clip_delta is None else float(clip_delta)
    reach = Reach(steps, clip_delta=bound, want_dx=want_dx and not model.reads_ids)
    total = team.forward_and_back(batch, loss, reach)
    return team, total / max(1, batch.count), bound
