"""A model: layers, and their parameters in one Block."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from . import files
from .arrays import marks_of
from .block import Arrays, Block
from .checks import check_count, check_kind, check_seed, check_workers
from .config import build, describe
from .errors import FileFormatError
from .forward import Forward
from .generate import generate
from .inputs import check_input, check_state
from .layers import LAYERS, Layer
from .layers.fit import check_stack
from .layers.marks import Marks
from .packed import together
from .task import check_skip

__all__ = ["Model"]

_FIXED = frozenset({"layers", "dtype", "n_in", "n_out", "reads_ids", "trains", "whole"})
"""Attributes to which the parameters' shapes and all that runs them are fitted."""


class Model:
    """Layers on top of each other, and their parameters.

    ``y, state = model(x, state)`` runs forward. Nothing is remembered between calls but room for
    the next like it, and several threads may call one model at once. But where a trainer changes
    its parameters meanwhile, a call reads them half old, half new: `Trainer.evaluate` waits, and a
    copy that was made between two updates stays as it is. Copies, shallow ones too, have parameters
    of their own. Models can be pickled, and so be sent to other processes.

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
    n_in : input features, or the number of ids.
    n_out : output features, O.
    reads_ids : whether the input is integers (T, B) rather than floats (T, B, I).
    trains : whether some layer works otherwise in training.
    whole : whether some layer reads whole sequences, which nothing may cut.

    Raises
    ------
    AttributeError : if one of these is set: another model is needed.
    TypeError : if something in ``layers`` is not a layer.
    ValueError : if there is no layer, sizes do not fit, or the dtype is neither of the two.
    """

    def __init__(
        self, layers: Sequence[Layer], seed: int | None = 0, dtype: DTypeLike = "float32"
    ) -> None:
        check_kind("layers", layers, Iterable)
        self.layers = tuple(layers)
        self.dtype = _dtype(dtype)
        check_stack(self.layers)
        bottom, top = self.layers[0], self.layers[-1]
        self.n_in, self.n_out, self.reads_ids = bottom.sizes[0], top.sizes[1], bottom.reads_ids
        self.trains = any(layer.trains for layer in self.layers)
        self.whole = any(layer.whole for layer in self.layers)
        self._params = self._block([layer.shapes() for layer in self.layers])
        self._buffers = self._block([layer.buffers() for layer in self.layers])
        self._forward = Forward(self.layers, self._params, self._buffers)
        rng = np.random.default_rng(None if seed is None else check_seed(seed))
        self._states: tuple[int, Block] | None = None
        named = together(self._params, self._buffers, self.layers)
        for layer, params in zip(self.layers, named, strict=True):
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
    def arrays(self) -> Arrays:
        """Parameters and buffers, in place, by name: what a file holds."""
        return Arrays({**self._params, **self._buffers})

    def zero_state(self, lanes: int) -> Block:
        """The state before the first step: ``"1.h"`` -> (B, H), all zero.

        Raises
        ------
        ValueError : if ``lanes`` is not a positive integer.
        """
        return self._state_like(check_count("lanes", lanes)).like()

    def _state_like(self, lanes: int) -> Block:
        """A state of that many lanes; made once for many calls in a row with as many."""
        kept = self._states  # Another thread may put others in their place.
        if kept is None or kept[0] != lanes:
            shapes = {
                f"{i}.{name}": (lanes, units)
                for i, layer in enumerate(self.layers)
                for name, units in layer.states().items()
            }
            self._states = kept = (lanes, Block(shapes, self.dtype))
        return kept[1]

    def __call__(
        self,
        x: ArrayLike,
        state: Mapping[str, NDArray] | None = None,
        resets: NDArray | None = None,
        ended: NDArray | None = None,
        workers: int | None = None,
        skip: NDArray | None = None,
    ) -> tuple[NDArray, Block]:
        """Run over the steps of ``x``.

        Parameters
        ----------
        x : (T, B) integer ids, or (T, B, I) floats.
        state : what an earlier call returned, to go on from there; zeros if None. In a layer that
            reads whole sequences it is where either direction begins.
        resets : (T, B) bool, True where a new sequence begins, before which the state is zero.
        ended : (T, B) bool, True where a lane has ended, and x is padding: these steps are skipped.
        workers : threads, each with a share of the lanes; as many as pay if None. Results are the
            same, to the bit, for any number.
        skip : (T, B) bool, True where a step is passed over: the state stays as it was before it.

        Returns
        -------
        y : (T, B, O), zero where a step is skipped.
        state : Block of the state after the last step, ``"1.h"`` -> (B, H).

        Raises
        ------
        DataError : if an id is outside the vocabulary, or a float is not finite.
        ShapeError : if a shape or a dtype does not fit.
        ValueError : if ``workers`` is not a positive integer or None.
        """
        check_workers(workers)
        x = self.check_input(x)
        state = self.check_state(state, x.shape[1])
        if not (resets is None and ended is None and skip is None):
            shape = x.shape[:2]
            marks = Marks(marks_of("resets", resets, shape), check_skip(ended, skip, shape))
            return self._forward.run(x, state, marks, workers)
        return self._forward.run(x, state, workers=workers)

    def advance(self, x: NDArray, before: NDArray) -> tuple[NDArray, NDArray]:
        """One step without any checks, for loops: outputs (B, O), and the flat state after it.

        x : (B,) ids, or (B, I) of the model's dtype.
        before : ``state.flat``; it is left alone.
        """
        return self._forward.steps.advance(x, before)

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

    def check_input(self, x: ArrayLike) -> NDArray:
        """``x`` as (T, B) integers or (T, B, I) floats of the model's dtype.

        Raises
        ------
        DataError, ShapeError : as for a call.
        """
        return check_input(x, self.layers[0], self.dtype)

    def check_state(self, state: Mapping[str, NDArray] | None, lanes: int) -> Block:
        """``state`` as a Block for that many lanes, zeros if None.

        Raises
        ------
        ShapeError : naming the part that is missing or has another shape.
        DataError : if a number is not finite.
        """
        return check_state(state, self._state_like(lanes))

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
        if not isinstance(config, Mapping) or not {"layers", "dtype"} <= config.keys():
            raise FileFormatError(f"config must name layers and dtype, got {config!r}")
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

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _FIXED and hasattr(self, name):
            raise AttributeError(f"{name} of a Model is fixed; make another Model")
        super().__setattr__(name, value)

    def __getstate__(self) -> dict[str, Any]:
        """All but the room for calls, which copies make again."""
        return {k: v for k, v in self.__dict__.items() if k not in ("_forward", "_states")}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        self._forward = Forward(self.layers, self._params, self._buffers)
        self._states = None

    def __copy__(self) -> Model:
        own = {"_params": self._params.copy(), "_buffers": self._buffers.copy()}
        twin = type(self).__new__(type(self))
        twin.__setstate__({**self.__getstate__(), **own})
        return twin

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
