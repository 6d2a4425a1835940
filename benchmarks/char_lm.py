"""The character model in bptt, and its trainer."""

from __future__ import annotations

from itertools import pairwise

import bptt

from .cases import CharLM

__all__ = ["model_of", "trainer_of"]


def model_of(config: CharLM) -> bptt.Model:
    """Embedding, LSTM layers, and logits."""
    sizes = [config.embedding, *(config.n,) * config.layers]
    lstms = [bptt.LSTM(n_in, n) for n_in, n in pairwise(sizes)]
    linear = bptt.Linear(config.n, config.vocabulary)
    return bptt.Model([bptt.Embedding(config.vocabulary, config.embedding), *lstms, linear])


def trainer_of(config: CharLM, k1: int, workers: int | None = None) -> bptt.Trainer:
    """Its trainer with k2 = ``config.steps``, Adam, and clipping by norm."""
    return bptt.Trainer(
        model_of(config),
        loss=bptt.CrossEntropy(),
        optimizer=bptt.Adam(config.rate),
        truncation=bptt.TBPTT(k1, config.steps),
        clip=bptt.ClipNorm(config.clip),
        workers=workers,
    )
