"""What an update came to, and what an epoch did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from numpy.typing import NDArray

from .block import Block

__all__ = ["Epoch", "Step"]


@dataclass(frozen=True)
class Step:
    """One update.

    n : its number, counted from 1 over the life of the trainer.
    loss : mean over its valid targets; nan if there was none, and then nothing was changed, and
        neither the optimizer nor its learning rate counts it.
    targets : how many there were.
    grad_norm : norm of the gradient, before clipping and penalties.
    grads : Block, the gradient before clipping and penalties; the next update overwrites it.
    k1, k2 : its new steps, and how many steps its error flowed back.
    flow : ``"1.h"`` -> (k2,) norms of δ_t over all lanes, the newest last; nan for steps before
        the first of the pass. Of a `Bidirectional` also ``"1.h_reverse"``, δ_t of the reverse
        direction at the same steps t, where what earlier steps send arrives.
    rate : the learning rate; 0 if there was no valid target.
    """

    n: int
    loss: float
    targets: int
    grad_norm: float
    grads: Block
    k1: int
    k2: int
    flow: dict[str, NDArray]
    rate: float


class Epoch(NamedTuple):
    """One pass of `Trainer.fit` over its data.

    n : its number, counted from 1 over the life of the trainer.
    update : the number of its last update.
    train_loss : mean over the targets of its updates.
    validation_loss : at its end; nan if there was no validation data.
    rate : the learning rate of its last update, without the factor that a truncation may give it.
    """

    n: int
    update: int
    train_loss: float
    validation_loss: float
    rate: float
