"""Rows of gates brought to mean zero and variance one, and errors back through that.

With μ and σ² of the n numbers of a row, and s = 1 / sqrt(σ² + `EPS`)::

    y = (a - μ) s
    da = (dy - mean(dy) - y mean(dy y)) s

(Ba, Kiros & Hinton 2016). Padding is zero in ``y`` and counts nowhere.
"""

from __future__ import annotations

import math

from .arithmetic import total
from .compile import kernel
from .vector import lanes, load, splat, store

__all__ = ["EPS", "gate_errors", "gate_moments", "moments", "standardise"]

EPS = 1e-5
"""What is added to each variance."""


@kernel
def moments(rows, at, real, first, n):
    """Mean of a row, and its s.

    rows, at : in, the row begins at flat index ``at``; zero in the padding.
    real, first : in, at flat index ``first`` as many numbers, 1 for a unit and 0 for padding.
    n : units.
    """
    size = lanes(rows)
    width = (n + size - 1) // size * size
    sums = splat(rows, 0.0)
    for unit in range(0, width, size):
        sums = sums + load(rows, at + unit)
    mean = total(sums) / n
    squares = splat(rows, 0.0)
    for unit in range(0, width, size):
        away = (load(rows, at + unit) - mean) * load(real, first + unit)
        squares = squares + away * away
    return mean, 1.0 / math.sqrt(total(squares) / n + EPS)


@kernel
def gate_moments(rows, at, spread, apart, real, first, n):
    """Mean of the four gates of a row, and their s.

    rows, at, real, first, n : as in `moments`, n units of each gate.
    spread, apart : gate k of unit u is at ``at`` + ``spread`` u + ``apart`` k, for units that begin
        a vector: 4 and the lanes of a vector for interleaved gates, 1 and Hp for one after another.
    """
    size = lanes(rows)
    width = (n + size - 1) // size * size
    sum_0 = sum_1 = sum_2 = sum_3 = splat(rows, 0.0)
    for unit in range(0, width, size):
        j = at + spread * unit
        sum_0, sum_1 = sum_0 + load(rows, j), sum_1 + load(rows, j + apart)
        sum_2, sum_3 = sum_2 + load(rows, j + 2 * apart), sum_3 + load(rows, j + 3 * apart)
    mean = total((sum_0 + sum_1) + (sum_2 + sum_3)) / (4 * n)
    sum_0 = sum_1 = sum_2 = sum_3 = splat(rows, 0.0)
    for unit in range(0, width, size):
        j, here = at + spread * unit, load(real, first + unit)
        a, b = (load(rows, j) - mean) * here, (load(rows, j + apart) - mean) * here
        c, d = (load(rows, j + 2 * apart) - mean) * here, (load(rows, j + 3 * apart) - mean) * here
        sum_0, sum_1 = sum_0 + a * a, sum_1 + b * b
        sum_2, sum_3 = sum_2 + c * c, sum_3 + d * d
    squares = total((sum_0 + sum_1) + (sum_2 + sum_3))
    return mean, 1.0 / math.sqrt(squares / (4 * n) + EPS)


@kernel
def standardise(rows, at, mean, scale):
    """y of the vector at flat index ``at``, which is overwritten with it.

    scale : s as a vector, zero in the padding.
    """
    value = (load(rows, at) - mean) * scale
    store(rows, at, value)
    return value


@kernel
def gate_errors(errors, gains, first, y, at, scale, n, out, to):
    """da of the four gates of a row, interleaved.

    errors : in, of ``gains`` · y; like y. Zero in the padding.
    gains, first : in, flat from index ``first`` on, the gains of the row.
    y, at : in, the row begins at flat index ``at``.
    scale, n : s, and the units of each gate.
    out, to : out, da from flat index ``to`` on; may be y itself. Padding holds anything finite.
    """
    size = lanes(y)
    width = 4 * ((n + size - 1) // size * size)
    sum_a = sum_b = dot_a = dot_b = splat(y, 0.0)
    for j in range(0, width, 2 * size):
        k = j + size
        a = load(errors, at + j) * load(gains, first + j)
        b = load(errors, at + k) * load(gains, first + k)
        sum_a, sum_b = sum_a + a, sum_b + b
        dot_a, dot_b = dot_a + a * load(y, at + j), dot_b + b * load(y, at + k)
    mean, dot = total(sum_a + sum_b) / (4 * n), total(dot_a + dot_b) / (4 * n)
    for j in range(0, width, size):
        error = load(errors, at + j) * load(gains, first + j)
        store(out, to + j, (error - mean - load(y, at + j) * dot) * scale)
