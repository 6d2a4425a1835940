"""Every sequence of a lane reversed in its place.

So it begins and ends at the same rows as before, and steps that are skipped, such as padding, stay
where they are: what is said of steps holds either way::

    step                 0 1 2 3 4 5 6 7 8
    in its lane          a b . c d|p q . .      | a new sequence begins, . skipped
    reversed             d c . b a|q p . .
"""

from __future__ import annotations

from ..kernels.compile import kernel

__all__ = ["add_turned", "reverse_order", "turn"]


@kernel
def reverse_order(fresh, skip, first, last, order):
    """fresh, skip (K, B) in; order (K, B) out: sequence by sequence from its last step back to its
    first, and those that are skipped as they are."""
    for b in range(order.shape[1]):
        begin = first
        while begin < last:
            stop = begin + 1
            while stop < last and not fresh[stop, b]:
                stop += 1
            for t in range(begin, stop):
                order[t, b] = t
            front, back = begin, stop - 1
            while front < back:
                if skip[front, b]:
                    front += 1
                elif skip[back, b]:
                    back -= 1
                else:
                    order[front, b], order[back, b] = back, front
                    front, back = front + 1, back - 1
            begin = stop


@kernel
def turn(a, i, order, first, last, count, b, j):
    """b (K, B, M) out, ``count`` features from ``j`` on: those of a (K, B, N) in, from ``i`` on, at
    the steps that ``order`` (K, B) in names."""
    for t in range(first, last):
        for lane in range(order.shape[1]):
            step = order[t, lane]
            for k in range(count):
                b[t, lane, j + k] = a[step, lane, i + k]


@kernel
def add_turned(a, order, first, last, b):
    """b (K, B, N) in, out: a (K, B, N) in is added, at the steps that ``order`` (K, B) in names."""
    for t in range(first, last):
        for lane in range(order.shape[1]):
            step = order[t, lane]
            for k in range(b.shape[2]):
                b[t, lane, k] += a[step, lane, k]
