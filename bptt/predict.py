"""What a model says wherever there is a target."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .checks import check_kind
from .data import Source
from .errors import DataError
from .model import Model
from .task import check_skip

__all__ = ["predict"]

_STEPS = 64


def predict(model: Model, source: Source) -> NDArray:
    """The model's outputs where ``source`` has a target, in the order of the data.

    For padded sequences with one target each that is one row a sequence, in the order in which they
    were given; for a stream one row a step, but for masked ones. The state is zero where all lanes
    begin, and carried. Memory does not grow with the sequences, unless a layer reads whole ones.

    Returns
    -------
    (n, O), one row for each valid target.

    Raises
    ------
    DataError, ShapeError : if the data does not fit the model.
    """
    check_kind("model", model, Model)
    check_kind("source", source, Source)
    places, outputs, reader, state = [], [], source.reader(), None
    while reader.position < source.steps:
        begins, start = reader.begins, reader.position
        chunk = reader.take(source.left(start) if model.whole else _STEPS)
        skip = check_skip(chunk.ended, chunk.skip, chunk.x.shape[:2])
        try:
            y, state = model(chunk.x, None if begins else state, chunk.resets, skip=skip)
        except DataError as error:
            raise chunk.located(error) from None
        valid = np.ones(y.shape[:2], np.bool_) if chunk.mask is None else chunk.mask
        if skip is not None:
            valid = valid & ~skip
        if source.targets_are_ids:
            valid = valid & (chunk.targets >= 0)
        places.append(source.places(start, reader.position)[valid])
        outputs.append(y[valid])
    order = np.argsort(np.concatenate(places))
    return np.concatenate(outputs)[order]
