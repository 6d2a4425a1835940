"""Eigenvalues of recurrent weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arrays import array_of
from ..model import Model
from .style import PALE, by_depth, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["spectrum"]

_MARKERS = "osD^"


def spectrum(what: Model | ArrayLike, ax: Axes | None = None, *, layer: int | None = None) -> Axes:
    """Draw the eigenvalues of a recurrent matrix, with the unit circle.

    Of a linear network those inside the circle make gradients vanish, those outside explode; the
    slopes of activations and gates shrink them further. A layer with gates has a matrix for each.

    Parameters
    ----------
    what : a Model, whose ``Wh`` is taken; or a matrix (H, H).
    ax : where to draw; a new figure if None.
    layer : index of the layer in the model; the topmost recurrent one if None.

    Raises
    ------
    ImportError : if matplotlib is not installed.
    ValueError : if ``what`` is neither, has no recurrent layer, or not a finite number somewhere.
    """
    name, matrices = _matrices(what, layer)
    values = {gate: np.linalg.eigvals(matrix) for gate, matrix in matrices.items()}
    radius = {gate: np.abs(found).max() for gate, found in values.items()}
    ax = new_axes(ax, (6.4, 4.8))
    turn = np.linspace(0, 2 * np.pi, 361)
    ax.plot(np.cos(turn), np.sin(turn), color="black", linewidth=1, label="unit circle")
    ax.axhline(0, color=PALE, linewidth=0.8, zorder=0)
    ax.axvline(0, color=PALE, linewidth=0.8, zorder=0)
    for i, (colour, (gate, found)) in enumerate(
        zip(by_depth(len(values)), values.items(), strict=True)
    ):
        label = f"{gate}: radius {radius[gate]:.3g}" if gate else "eigenvalues"
        style = {"marker": _MARKERS[i % 4], "markersize": 5, "linestyle": "none", "alpha": 0.75}
        ax.plot(found.real, found.imag, color=colour, label=label, **style)
    limit = 1.12 * max(1, *radius.values())
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
    ax.spines[["top", "right"]].set_visible(False)
    ax.locator_params(nbins=6, steps=[1, 2, 5, 10])
    ax.set_title(f"Eigenvalues of {name}, spectral radius {max(radius.values()):.3g}", loc="left")
    ax.set_xlabel("real part")
    ax.set_ylabel("imaginary part")
    ax.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def _matrices(what: Model | ArrayLike, layer: int | None) -> tuple[str, dict[str, NDArray]]:
    """What it is, and gate -> (H, H); the gate is "" where there is but one matrix."""
    if isinstance(what, Model):
        layer = _recurrent(what, layer)
        gates = what.layers[layer].gate_names or ("",)
        name, whole = f"{layer}.Wh", what.params[f"{layer}.Wh"]
    else:
        if layer is not None:
            raise ValueError(f"layer is for a Model, but what is {type(what).__name__}")
        name, gates, whole = "the matrix", ("",), array_of("what", what)
        square = whole.ndim == 2 and whole.shape[0] == whole.shape[1] > 0
        if not square or not np.issubdtype(whole.dtype, np.number):
            raise ValueError(
                f"what must be a Model or a matrix (H, H), got {type(what).__name__} "
                f"of shape {whole.shape}"
            )
    if not np.isfinite(whole).all():
        raise ValueError(f"{name} has numbers that are not finite")
    return name, dict(zip(gates, np.split(whole, len(gates), axis=1), strict=True))


def _recurrent(model: Model, layer: int | None) -> int:
    """The index of the layer asked for."""
    recurrent = [i for i, one in enumerate(model.layers) if one.flowing]
    if not recurrent:
        raise ValueError(f"{model} has no recurrent layer")
    if layer is None:
        return recurrent[-1]
    if isinstance(layer, bool) or layer not in recurrent:
        known = " or ".join(map(str, recurrent))
        raise ValueError(f"layer must be a recurrent one of the model, {known}, got {layer!r}")
    return int(layer)
