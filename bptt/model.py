"""A model: layers, and their parameters in one Block."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from . import files
from .block import Block
from .config import build, describe
from .errors import DataError, FileFormatError, ShapeError
from .generate import generate
from .kernels.checks import all_finite
from .layers import LAYERS, Embedding, Layer
from .layers.marks import NOTHING, Marks
from .layers.whole import check_whole
from .packed import ModelWeights, together
from .task import check_marks
from .window import Window, worthwhile_ids

__all__ = ["Model"]

_UNPACKED = 8
"""Steps times lanes up to which a call is quicker without packing the parameters."""
_STEPS = 64
"""Longer inputs run through a tape of so many steps, so that memory stays small; unless a layer
reads whole sequences."""


class Model:
    """Layers on top of each other, and their parameters.

    ``y, state = model(x, state)`` runs forward; nothing is remembered between calls.

    Parameters
    ----------
    layers : from the input up; each takes what the one below gives. An `Embedding` may only be
        the first.
    seed : of the initial parameters.
    dtype : of parameters and activations, "float32" or "float64".

    Attributes
    ----------
    params : Block of all parameters, named ``"<layer>.<parameter>"``: ``params["1.Wh"]``,
        ``params.flat``. Write into it as you like.

    Raises
    ------
    TypeError : if something in ``layers`` is not a layer.
    ValueError : if there is no layer, sizes do not fit, or the dtype is neither of the two.
    """

    def __init__(
        self, layers: Sequence[Layer], seed: int | None = 0, dtype: DTypeLike = "float32"
    ) -> None:
        self.layers = tuple(layers)
        self.dtype = _dtype(dtype)
        _check_stack(self.layers)
        self._params = self._block([layer.shapes() for layer in self.layers])
        self._buffers = self._block([layer.buffers() for layer in self.layers])
        rng = np.random.default_rng(seed)
        self._states: tuple[int, Block] | None = None
        named = together(self._params, self._buffers, self.layers)
        self._stack = [
            (layer, params, len(layer.carried) * layer.sizes[1])
            for layer, params in zip(self.layers, named, strict=True)
        ]
        for layer, params, _ in self._stack:
            layer.initialize(params, rng)

    def _block(self, shapes: Sequence[Mapping[str, tuple[int, ...]]]) -> Block:
        return Block(
            {f"{i}.{name}": shape for i, of in enumerate(shapes) for name, shape in of.items()},
            self.dtype,
        )

    @property
    def params(self) -> Block:
        """All parameters, in place: ``params["1.Wh"][...] = 0``."""
        return self._params

    @property
    def buffers(self) -> Block:
        """What goes with the parameters but is not learned, named as they are; often empty."""
        return self._buffers

    @property
    def arrays(self) -> dict[str, NDArray]:
        """Parameters and buffers, in place, by name: what a file holds."""
        return {**self._params, **self._buffers}

    @property
    def n_in(self) -> int:
        """Input features, or the number of ids."""
        return self.layers[0].sizes[0]

    @property
    def n_out(self) -> int:
        """Output features, O."""
        return self.layers[-1].sizes[1]

    @property
    def reads_ids(self) -> bool:
        """Whether the input is integers (T, B) rather than floats (T, B, I)."""
        return self.layers[0].reads_ids

    @property
    def trains(self) -> bool:
        """Whether some layer works otherwise in training."""
        return any(layer.trains for layer in self.layers)

    @property
    def whole(self) -> bool:
        """Whether some layer reads whole sequences, which nothing may cut."""
        return any(layer.whole for layer in self.layers)

    def zero_state(self, lanes: int) -> Block:
        """The state before the first step: ``"1.h"`` -> (B, H), all zero."""
        return self._state_like(lanes).like()

    def _state_like(self, lanes: int) -> Block:
        """A state of that many lanes; made once for many calls in a row with as many."""
        if self._states is None or self._states[0] != lanes:
            shapes = {
                f"{i}.{name}": (lanes, layer.sizes[1])
                for i, layer in enumerate(self.layers)
                for name in layer.carried
            }
            self._states = (lanes, Block(shapes, self.dtype))
        return self._states[1]

    def __call__(
        self,
        x: ArrayLike,
        state: Mapping[str, NDArray] | None = None,
        resets: NDArray | None = None,
        ended: NDArray | None = None,
    ) -> tuple[NDArray, Block]:
        """Run over the steps of ``x``.

        Parameters
        ----------
        x : (T, B) integer ids, or (T, B, I) floats.
        state : what an earlier call returned, to go on from there; zeros if None.
        resets : (T, B) bool, True where a new sequence begins, before which the state is zero.
        ended : (T, B) bool, True where a lane has ended, and x is padding.

        Returns
        -------
        y : (T, B, O).
        state : Block of the state after the last step, ``"1.h"`` -> (B, H).

        Raises
        ------
        DataError : if an id is outside the vocabulary, or a float is not finite.
        ShapeError : if a shape or a dtype does not fit.
        ValueError : if there is a state, but a layer that reads whole sequences.
        """
        x = self.check_input(x)
        steps, lanes = x.shape[:2]
        state = self.check_state(state, lanes)
        if resets is not None or ended is not None:
            given = {"resets": resets, "ended": ended}
            checked = {name: check_marks(name, m, x.shape[:2]) for name, m in given.items()}
            return self._run_window(x, state, Marks(**checked))
        short = steps * lanes <= _UNPACKED and not self.whole
        return self._run_steps(x, state) if short else self._run_window(x, state)

    def _run_steps(self, x: NDArray, state: Block) -> tuple[NDArray, Block]:
        """Step by step, straight from the parameters."""
        y = np.empty((*x.shape[:2], self.n_out), self.dtype)
        before = state.flat
        for t, values in enumerate(x):
            y[t], before = self.advance(values, before)
        return y, state.like(before)

    def advance(self, x: NDArray, before: NDArray) -> tuple[NDArray, NDArray]:
        """One step without any checks, for loops: outputs (B, O), and the flat state after it.

        x : (B,) ids, or (B, I) of the model's dtype.
        before : ``state.flat``; it is left alone.
        """
        after, start = np.empty_like(before), 0
        for layer, params, size in self._stack:
            x = layer.step(params, x, before, after, start)
            start += size * len(x)
        return x, after

    def generate(
        self,
        start: ArrayLike,
        steps: int,
        *,
        state: Mapping[str, NDArray] | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        seed: int = 0,
    ) -> tuple[NDArray, Block]:
        """Go on by itself after ``start``: every output is the next input.

        With ids the outputs are logits, from which an id is drawn. With floats they are read as
        they are, which is a free-running forecast.

        Parameters
        ----------
        start : what is read first: (T,) or (T, B) ids, or (T, I) or (T, B, I) floats.
        steps : how many ids or outputs are wanted.
        state : to start from; zeros if None.
        temperature : below 1 makes the likely likelier; at 0 the likeliest is taken.
        top_k : draw among the k likeliest alone, and those as likely as the last of them.
        seed : of the draws.

        Returns
        -------
        ids (steps, B), or y (steps, B, O); without the axis B if ``start`` has none.
        state : before the last of them is read. ``generate(ids[-1:], n, state=state)`` goes on.

        Raises
        ------
        DataError : if an id or a float in ``start`` cannot be read, or an output is not finite.
        ShapeError : if ``start`` or ``state`` does not fit.
        ValueError : if the model has not as many outputs as inputs, or an option is out of range.
        """
        return generate(
            self, start, steps, state=state, temperature=temperature, top_k=top_k, seed=seed
        )

    def _run_window(
        self, x: NDArray, state: Mapping[str, NDArray], marks: Marks = NOTHING
    ) -> tuple[NDArray, Block]:
        """A window at a time, from packed weights."""
        steps, lanes = x.shape[:2]
        rows = steps if self.whole else min(steps, _STEPS)
        window = Window(self.layers, lanes, rows, self.dtype, backward=False,
                        lookup_ids=worthwhile_ids(rows, lanes))  # fmt: skip
        weights = ModelWeights(self.layers, self.params, self.buffers)
        weights.pack(back=False)
        window.begin(state)
        y = np.empty((steps, lanes, self.n_out), self.dtype)
        for first in range(0, steps, window.capacity):
            part = x[first : first + window.capacity]
            window.make_room(len(part), keep=0)
            window.forward(weights, part, marks.steps(first, first + len(part)))
            newest = slice(window.stop - len(part), window.stop)
            y[first : first + len(part)] = window.y[newest, :, : self.n_out]
        final = self.zero_state(lanes)
        window.read_state(final)
        return y, final

    def check_input(self, x: ArrayLike) -> NDArray:
        """``x`` as (T, B) integers or (T, B, I) floats of the model's dtype.

        Raises
        ------
        DataError, ShapeError : as for a call.
        """
        x = np.asarray(x)
        ids = self.reads_ids
        if x.ndim != (2 if ids else 3) or x.dtype.kind not in ("iu" if ids else "f"):
            expected = "(T, B) integers" if ids else f"(T, B, {self.n_in}) floats"
            raise ShapeError(
                f"x must be {expected} for {self.layers[0]}, got shape {x.shape} of {x.dtype}"
            )
        if not x.size:
            raise ShapeError(f"x must have at least one step and one lane, got shape {x.shape}")
        return self._check_ids(x) if ids else self._check_floats(x)

    def _check_ids(self, x: NDArray) -> NDArray:
        if x.min() < 0 or x.max() >= self.n_in:
            t, b = np.argwhere((x < 0) | (x >= self.n_in))[0]
            raise DataError(
                f"x[{t}, {b}] is {x[t, b]}, but {self.layers[0]} has ids 0 to {self.n_in - 1}"
            )
        return x

    def _check_floats(self, x: NDArray) -> NDArray:
        if x.shape[2] != self.n_in:
            raise ShapeError(f"x has {x.shape[2]} features, but {self.layers[0]} takes {self.n_in}")
        if x.dtype != self.dtype or not x.flags.c_contiguous:
            with np.errstate(over="ignore"):
                x = np.ascontiguousarray(x, self.dtype)
        if not all_finite(x.reshape(-1)):
            t, b, i = np.argwhere(~np.isfinite(x))[0]
            raise DataError(f"x[{t}, {b}, {i}] is {x[t, b, i]}, not a finite number")
        return x

    def check_state(self, state: Mapping[str, NDArray] | None, lanes: int) -> Block:
        """``state`` as a Block for that many lanes, zeros if None.

        Raises
        ------
        ShapeError : naming the part that is missing or has another shape.
        DataError : if a number is not finite.
        ValueError : if there is one, but a layer that reads whole sequences.
        """
        like = self._state_like(lanes)
        if state is None:
            return like.like()
        check_whole(self.layers, "a state carries on from an earlier part; leave state None")
        if like.fits(state):
            return state
        block = like.like()
        for name, expected in like.shapes.items():
            if name not in state:
                raise ShapeError(f"state has no {name!r}, which must be {expected}")
            if np.shape(state[name]) != expected:
                raise ShapeError(f"state[{name!r}] must be {expected}, got {np.shape(state[name])}")
            block[name] = state[name]
        if not np.isfinite(block.flat).all():
            raise DataError("state holds a number that is not finite")
        return block

    def config(self) -> dict[str, Any]:
        """The layers and the dtype, as `from_config` takes them."""
        return {
            "layers": [describe(layer, LAYERS) for layer in self.layers],
            "dtype": self.dtype.name,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Model:
        """A model with the layers that ``config`` describes, and fresh parameters.

        Raises
        ------
        FileFormatError : if there is no such layer, or it takes no such arguments.
        """
        layers = [build(layer, LAYERS) for layer in config["layers"]]
        return cls(layers, dtype=config["dtype"])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write layers and parameters to ``path`` (safetensors), wholly or not at all.

        Raises
        ------
        OSError : if the file cannot be written.
        """
        files.write(path, "model", self.arrays, self.config())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Model:
        """The model that `save` wrote to ``path``.

        Raises
        ------
        FileNotFoundError : if there is no such file.
        FileFormatError : if it is not a whole and sound model file.
        """
        arrays, config = files.read(path, "model")
        try:
            model = cls.from_config(config)
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(f"{path} does not hold a model that fits: {error}") from error
        files.fill(path, model.arrays, arrays)
        return model

    def __repr__(self) -> str:
        inside = ", ".join(str(layer) for layer in self.layers)
        return f"Model([{inside}], {self.params.flat.size:,} parameters, {self.dtype})"


def _dtype(given: DTypeLike) -> np.dtype:
    try:
        dtype = np.dtype(given)
    except TypeError:
        dtype = given
    if dtype not in (np.float32, np.float64):
        raise ValueError(f"dtype must be float32 or float64, got {dtype}")
    return dtype


def _check_stack(layers: Sequence[Layer]) -> None:
    if not layers:
        raise ValueError("a model needs at least one layer, got none")
    for layer in layers:
        if not isinstance(layer, Layer):
            raise TypeError(f"layers must be bptt layers, got {layer!r}")
    for i, (below, layer) in enumerate(pairwise(layers), start=1):
        if layer.reads_ids:
            raise ValueError(f"layer {i} is {layer}, which reads ids, so it must be the first")
        if layer.sizes[0] != below.sizes[1]:
            raise ValueError(
                f"layer {i} is {layer}, but takes {layer.sizes[0]} features while layer {i - 1}, "
                f"{below}, gives {below.sizes[1]}"
            )
    for i, layer in enumerate(layers):
        for name, (n_in, n_out) in layer.borrows().items():
            if not layers[0].reads_ids or layers[0].shapes().get(name) != (n_out, n_in):
                raise ValueError(
                    f"layer {i} is {layer}, so layer 0 must be {Embedding(n_out, n_in)}, whose "
                    f"{name} it shares, but that is {layers[0]}"
                )
