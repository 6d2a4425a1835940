"""Slow, obvious oracles: the equations, step by step, in plain NumPy without bptt's kernels.

`forward` takes float64 or complex128, and arrays with one more axis in front, so that
`complex_step` can try every direction at once. `backward` is written by hand, for what no
derivative of `forward` can say: errors that are clipped on their way.
"""

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


ACTIVATIONS = {
    "identity": (lambda z: z, np.ones_like),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * sigmoid(-z)),
    "relu": (lambda z: np.where(z.real > 0, z, 0), lambda z: np.where(z > 0, 1.0, 0.0)),
    "leaky_relu": (
        lambda z: np.where(z.real > 0, z, 0.01 * z),
        lambda z: np.where(z > 0, 1.0, 0.01),
    ),
}
"""Name -> the function, and its derivative as a function of the argument."""


def own(params, i):
    """The parameters of layer ``i``, without its number."""
    prefix = f"{i}."
    return {n.removeprefix(prefix): p for n, p in params.items() if n.startswith(prefix)}


def step(layer, params, x, state, drawn=None):
    """One step of one layer: (output, next state), x (..., B, I) or (B,) ids.

    drawn : (B, 2·n_out) uniform in [0, 1), for layers that are random in training; None outside it.
    """
    kind = type(layer).__name__
    if kind == "Embedding":
        return params["W"][..., x, :], {}
    if kind == "Linear":
        return x @ params["W"] + params["b"][..., None, :], {}
    if kind == "Residual":
        y, new = step(layer.layer, params, x, state, drawn)
        return x + y, new
    if kind == "Dropout":
        return x if drawn is None else x * scale(layer, drawn), {}
    if kind == "VariationalDropout":
        mask = state["mask"]
        if drawn is not None:
            chosen = scale(layer, drawn)
            mask = np.where(mask == 0, np.where(chosen == 0, -1, chosen), mask)
        return x if drawn is None else x * np.maximum(mask.real, 0), {"mask": mask}
    if kind == "ActivationPenalty":
        return x, {"h": x, "seen": np.ones(x.shape)}
    if kind == "Zoneout":
        return zoneout(layer, params, x, state, drawn)
    if kind == "Last":
        return x, {}
    if kind == "Activation":
        return ACTIVATIONS[layer.activation][0](x), {}
    if kind == "LayerNorm":
        mean = x.mean(axis=-1, keepdims=True)
        var = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
        return scaled(params, x, mean, var, layer.eps), {}
    if kind == "BatchNorm":
        mean, var = params.get("running_mean", 0.0), params.get("running_var", 1.0)
        return scaled(params, x, mean, var, layer.eps), {}
    if kind in ("Mean", "Max"):
        w = share(kind, x, state)
        h = (1 - w) * state["h"] + w * x
        return h, {"h": h, "count": state["count"] + 1}
    if kind == "GRU":
        h = gru(layer, params, x, state["h"]).h
        return h, {"h": h}
    if kind == "RNN":
        z = x @ params["Wx"] + state["h"] @ params["Wh"] + params["b"][..., None, :]
        h = ACTIVATIONS[layer.activation][0](z)
        return h, {"h": h}
    new = lstm(layer, params, x, state)
    h = new.o * np.tanh(new.inner)
    return h, {"h": h, "c": new.c}


def scale(layer, drawn):
    """What a dropout multiplies x by."""
    return np.where(drawn[:, : layer.n] < layer.p, 0, 1 / (1 - layer.p))


def zoneout(layer, params, x, state, drawn):
    """One step, as `step`: the units of h draw first, then those of c."""
    _, new = step(layer.layer, params, x, state)
    kept, n = {"h": layer.h, "c": layer.c}, layer.layer.n
    if drawn is not None:
        kept = {"h": drawn[:, :n] < layer.h, "c": drawn[:, n:] < layer.c}
    mixed = {name: kept[name] * state[name] + (1 - kept[name]) * s for name, s in new.items()}
    return mixed["h"], mixed


def innermost(layer):
    """Inside all `Residual` around it."""
    return innermost(layer.layer) if type(layer).__name__ == "Residual" else layer


def penalty(layer, x, state):
    """(..., B), what an `ActivationPenalty` adds to the loss of a step."""
    change = np.where(state["seen"].real > 0, x - state["h"], 0)
    return layer.alpha * (x**2).mean(axis=-1) + layer.beta * (change**2).mean(axis=-1)


def scaled(params, x, mean, var, eps):
    """What LayerNorm and BatchNorm make of x (..., B, n)."""
    gamma, beta = params["gamma"][..., None, :], params["beta"][..., None, :]
    return gamma * (x - mean) / np.sqrt(var + eps) + beta


def share(kind, x, state):
    """How much x counts in the mean or the maximum of all so far; no derivative by the count."""
    count = state["count"].real
    if kind == "Mean":
        return 1 / (count + 1)
    return np.where((count <= 0) | (x.real > state["h"].real), 1.0, 0.0)


class Lstm(NamedTuple):
    """The gates, c, and that of which h takes the tanh."""

    i: np.ndarray
    f: np.ndarray
    g: np.ndarray
    o: np.ndarray
    c: np.ndarray
    inner: np.ndarray


def lstm(layer, params, x, state):
    """One step, x (..., B, I)."""
    from_x, from_h = x @ params["Wx"], state["h"] @ params["Wh"]
    if layer.layer_norm:
        from_x = params["gx"][..., None, :] * standard(from_x)[0]
        from_h = params["gh"][..., None, :] * standard(from_h)[0]
    i, f, g, o = np.split(from_x + from_h + params["b"][..., None, :], 4, axis=-1)
    if layer.peepholes:
        i = i + params["p"][..., 0, None, :] * state["c"]
        f = f + params["p"][..., 1, None, :] * state["c"]
    i, f, g = sigmoid(i), sigmoid(f), np.tanh(g)
    inner = c = f * state["c"] + i * g
    if layer.peepholes:
        o = o + params["p"][..., 2, None, :] * c
    if layer.layer_norm:
        inner = params["gc"][..., None, :] * standard(c)[0] + params["bc"][..., None, :]
    return Lstm(i, f, g, sigmoid(o), c, inner)


def standard(a):
    """``a`` with mean 0 and variance 1 over the last axis, and what that took to multiply with."""
    away = a - a.mean(axis=-1, keepdims=True)
    scale = ((away**2).mean(axis=-1, keepdims=True) + 1e-5) ** -0.5
    return away * scale, scale


def standard_back(error, a):
    """The error of ``a`` from that of `standard`, by the Jacobian of each row."""
    y, scale = standard(a)
    n = a.shape[-1]
    jacobian = scale[..., None] * (np.eye(n) - 1 / n - y[..., :, None] * y[..., None, :] / n)
    return np.einsum("...i,...ij->...j", error, jacobian)


class Gru(NamedTuple):
    """The gates, what r multiplies, and h."""

    r: np.ndarray
    z: np.ndarray
    n: np.ndarray
    inner: np.ndarray
    h: np.ndarray


def gru(layer, params, x, h):
    """One step, x (..., B, I)."""
    xr, xz, xn = np.split(x @ params["Wx"] + params["b"][..., None, :], 3, axis=-1)
    whr, whz, whn = np.split(params["Wh"], 3, axis=-1)
    r, z = sigmoid(xr + h @ whr), sigmoid(xz + h @ whz)
    if layer.reset_after:
        inner = h @ whn + params["bh"][..., None, :]
        n = np.tanh(xn + r * inner)
    else:
        inner = h
        n = np.tanh(xn + (r * inner) @ whn)
    return Gru(r, z, n, inner, (1 - z) * n + z * h)


def zero_state(layers, lanes):
    return {
        f"{i}.{name}": np.zeros((lanes, units))
        for i, layer in enumerate(layers)
        for name, units in layer.states().items()
    }


def mixed(bits):
    """SplitMix64's scrambling of a 64-bit number."""
    bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB % 2**64
    return bits ^ (bits >> 31)


STRIDE = 0x9E3779B97F4A7C15


def key(seed, t, lane):
    """Of step ``t``, counted over the life of a trainer, and a lane."""
    return mixed((mixed(mixed(seed) ^ t) + (lane + 1) * STRIDE) % 2**64) | 1


def drawn(seed, first, steps, lanes, salt, units):
    """(T, B, units) uniform numbers for the layer number ``salt``."""
    found = np.empty((steps, lanes, units))
    for t, b, j in np.ndindex(found.shape):
        bits = key(seed, first + t, b) + ((salt << 32) | j) * STRIDE
        found[t, b, j] = (mixed(bits % 2**64) >> 11) / 2**53
    return found


def forward(layers, params, x, state, nudges=None, carried=None, resets=None, seed=None, first=0,
            penalties=None, skip=None):  # fmt: skip
    """y (..., T, B, O) and the final state.

    x : (T, B) ids or (..., T, B, I).
    nudges : layer -> (..., T, B, H), added to every h_t; the derivative by them is δ_t.
    resets : (T, B) bool, where the state is zero before the step.
    skip : (T, B) bool, where the state after the step is that before it.
    seed : of what is random in training, whose steps before x are ``first``; None outside it.
    carried : "1.c" -> (..., T, B, H), added to the state after step t as the next step gets it.
    penalties : a list to which (..., B) is added for each step, what is added to its loss.
    """
    ids = x.dtype.kind in "iu"
    state, outputs = dict(state), []
    steps, lanes = x.shape if ids else x.shape[-3:-1]
    draws = [
        None if seed is None else drawn(seed, first, steps, lanes, i, 2 * layer.sizes[1])
        for i, layer in enumerate(layers)
    ]
    for t in range(steps):
        y = x[t] if ids else x[..., t, :, :]
        if resets is not None:
            state = {name: s * ~resets[t][:, None] for name, s in state.items()}
        added = 0
        for i, layer in enumerate(layers):
            given = None if draws[i] is None else draws[i][t]
            inner, old = innermost(layer), own(state, i)
            if type(inner).__name__ == "ActivationPenalty" and given is not None:
                added = added + penalty(inner, y, old)
            y, new = step(layer, own(params, i), y, old, given)
            if skip is not None:
                new = {n: np.where(skip[t][:, None], old[n], value) for n, value in new.items()}
            if nudges is not None and i in nudges:
                nudge = nudges[i][..., t, :, :]
                y, new["h"] = y + nudge, new["h"] + nudge
            state.update({f"{i}.{name}": value for name, value in new.items()})
        for name, nudge in (carried or {}).items():
            state[name] = state[name] + nudge[..., t, :, :]
        outputs.append(y)
        if penalties is not None:
            penalties.append(added + np.zeros(y.shape[:-1]))
    return np.stack(outputs, axis=-3), state


def pieces(resets, ended):
    """The sequences of each lane: lists of their steps, without padding at the end.

    resets, ended : (T, B) bool.
    """
    steps, lanes = resets.shape
    for b in range(lanes):
        starts = [0, *(t for t in range(1, steps) if resets[t, b]), steps]
        for start, stop in pairwise(starts):
            there = [t for t in range(start, stop) if not ended[t, b]]
            if there:
                yield b, list(range(start, there[-1] + 1))


def forward_whole(layers, params, x, resets, ended, state=None, final=None, nudges=None):
    """y (..., T, B, O) of stacks with `Bidirectional`, sequence by sequence; zero in padding.

    x : (T, B) ids or (..., T, B, I).
    resets, ended : (T, B) bool.
    state : before the first sequence of each lane; zeros if None.
    final : a dict, to which the state after the last sequence of each lane goes.
    nudges : "1.h" or "1.h_reverse" -> (..., T, B, H), added to every h_t of that direction; the
        derivative by them is δ_t.
    """
    y, state = x, zero_state(layers, resets.shape[1]) if state is None else state
    state = {name: s * ~resets[0][:, None] for name, s in state.items()}
    for i, layer in enumerate(layers):
        given = own(state, i), own(nudges or {}, i)
        y, after = _whole(layer, own(params, i), y, resets, ended, *given)
        if final is not None:
            final |= {f"{i}.{name}": s for name, s in after.items()}
    return y


MERGES = {
    "concat": lambda f, r: np.concatenate([f, r], axis=-1),
    "sum": lambda f, r: f + r,
    "mean": lambda f, r: (f + r) / 2,
    "product": lambda f, r: f * r,
}


def _whole(layer, params, x, resets, ended, state, nudges):
    """y and the final state, as `forward_whole`."""
    kind = type(layer).__name__
    if kind == "Residual" and layer.whole:
        y, final = _whole(layer.layer, params, x, resets, ended, state, nudges)
        return x + y, final
    if kind != "Bidirectional":
        read = pieces(resets, ended)
        return _one_way(layer, params, x, read, resets.shape, state, nudges.get("h"))
    found = []
    for end in ("", "_reverse"):
        mine, begun = (
            {name: of[name + end] for name in of if not name.endswith("_reverse")}
            for of in (params, state)
        )
        read = ((b, steps[:: -1 if end else 1]) for b, steps in pieces(resets, ended))
        nudge = nudges.get("h" + end)
        found.append(_one_way(layer.layer, mine, x, read, resets.shape, begun, nudge))
    (f, after), (r, before) = found
    return MERGES[layer.merge](f, r), after | {f"{n}_reverse": s for n, s in before.items()}


def _one_way(layer, params, x, pieces, shape, began, nudge=None):
    found, final = {}, {}
    for b, steps in pieces:
        state = own(zero_state([layer], 1), 0)
        if 0 in steps:
            state = {name: s[..., b : b + 1, :] for name, s in began.items()}
        for t in steps:
            now = x[t, b : b + 1] if x.dtype.kind in "iu" else x[..., t, b : b + 1, :]
            found[t, b], state = step(layer, params, now, state)
            if nudge is not None:
                by = nudge[..., t, b : b + 1, :]
                found[t, b], state["h"] = found[t, b] + by, state["h"] + by
        final[b] = state
    some = next(iter(found.values()))
    y = np.zeros((*some.shape[:-2], *shape, some.shape[-1]), some.dtype)
    for (t, b), value in found.items():
        y[..., t, b, :] = value[..., 0, :]
    lead = some.shape[:-2]
    wide = {
        n: [np.broadcast_to(final[b][n], (*lead, *final[b][n].shape[-2:])) for b in sorted(final)]
        for n in began
    }
    return y, {n: np.concatenate(of, axis=-2) for n, of in wide.items()}


def losses(y, targets):
    """(..., T, B): cross-entropy for integer targets, squared error for floats."""
    if targets.dtype.kind == "f":
        return ((y - targets) ** 2).mean(axis=-1)
    peak = y.real.max(axis=-1, keepdims=True)
    log_sum = np.log(np.exp(y - peak).sum(axis=-1)) + peak[..., 0]
    return log_sum - (y * (targets[..., None] == np.arange(y.shape[-1]))).sum(axis=-1)


def valid_targets(targets, mask=None):
    valid = targets >= 0 if targets.dtype.kind in "iu" else np.ones(targets.shape[:2], bool)
    return valid if mask is None else valid & mask


def mean_loss(y, targets, mask=None, penalties=()):
    """Mean over the valid ones of the targets, which belong to the last steps of y.

    penalties : (..., B) of each step, added to its loss, as `forward` gives them.
    """
    valid = valid_targets(targets, mask)
    newest = losses(y[..., y.shape[-3] - len(targets) :, :, :], targets)
    if penalties:
        newest = newest + np.stack(penalties[-len(targets) :], axis=-2)
    return (newest * valid).sum(axis=(-2, -1)) / max(1, valid.sum())


def complex_step(f, given, size=1e-30):
    """The derivative of ``f`` by every number in ``given``, exact to rounding.

    given : name -> float array. ``f`` gets them with an axis in front, and returns (P,).
    """
    total = sum(array.size for array in given.values())
    tried, at = {}, 0
    for name, array in given.items():
        many = np.repeat(array.reshape(1, -1), total, axis=0).astype(np.complex128)
        many[np.arange(at, at + array.size), np.arange(array.size)] += size * 1j
        tried[name], at = many.reshape(total, *array.shape), at + array.size
    slopes = f(tried).imag / size
    ends = np.cumsum([array.size for array in given.values()])
    pieces = np.split(slopes, ends[:-1])
    return {
        name: piece.reshape(array.shape)
        for piece, (name, array) in zip(pieces, given.items(), strict=True)
    }


class Result(NamedTuple):
    """loss; gradients of params, x and state; delta, layer -> δ (T, B, H), bounded."""

    loss: float
    params: dict
    x: np.ndarray | None
    state: dict
    delta: dict


def bounded(delta, limit):
    """(B, H), lane by lane at most ``limit`` long."""
    norms = np.sqrt((delta**2).sum(axis=1, keepdims=True))
    over = norms > limit
    return delta * np.where(over, limit / np.where(over, norms, 1), 1)


def backward(
    layers, params, x, targets, state, mask=None, clip_delta=math.inf, back=None, scale=None
):
    """Loss and gradients through all steps of x, from a constant state.

    back : (T,), by which what comes back to each step from the next is multiplied; None for 1.
    scale : gradients are those of the sum of the losses times it; None for the mean.
    """
    back = np.ones(len(x)) if back is None else back
    inputs, states = [x], [{} for _ in layers]
    for i, layer in enumerate(layers):
        now, outputs = own(state, i), []
        states[i] = [now]
        for x_t in inputs[-1]:
            y, now = step(layer, own(params, i), x_t, now)
            outputs.append(y)
            states[i].append(now)
        inputs.append(np.array(outputs))
    y = inputs.pop()
    dy = np.zeros_like(y)
    dy[len(y) - len(targets) :] = _loss_slope(y[len(y) - len(targets) :], targets, mask, scale)
    found = Result(mean_loss(y, targets, mask), {}, None, {}, {})
    for i in reversed(range(len(layers))):
        go_back = _BACK[type(layers[i]).__name__]
        dy, grads, dstate, delta = go_back(
            layers[i], own(params, i), inputs[i], states[i], dy, clip_delta, back
        )
        found.params.update({f"{i}.{name}": grad for name, grad in grads.items()})
        found.state.update({f"{i}.{name}": grad for name, grad in dstate.items()})
        if delta is not None:
            found.delta[i] = delta
    return found._replace(x=dy)


def returning(params, name):
    """What errors go back through: the weight ``name``, or the fixed matrix in its place."""
    return params.get("B" + name[1:], params[name])


def _loss_slope(y, targets, mask, scale):
    valid = valid_targets(targets, mask)[..., None]
    scale = 1 / max(1, valid.sum()) if scale is None else scale
    if targets.dtype.kind == "f":
        slope = 2 * (y - targets) / y.shape[-1]
    else:
        power = np.exp(y - y.max(axis=-1, keepdims=True))
        slope = power / power.sum(axis=-1, keepdims=True)
        slope = slope - (targets[..., None] == np.arange(y.shape[-1]))
    return np.where(valid, slope, 0) * scale


def _embedding_back(layer, params, x, states, dy, clip_delta, back):
    dw = np.zeros_like(params["W"])
    np.add.at(dw, x, dy)
    return None, {"W": dw}, {}, None


def _linear_back(layer, params, x, states, dy, clip_delta, back):
    grads = {"W": np.einsum("tbi,tbo->io", x, dy), "b": dy.sum(axis=(0, 1))}
    return dy @ returning(params, "W").T, grads, {}, None


def _rnn_back(layer, params, x, states, dy, clip_delta, back):
    delta, dz = np.zeros_like(dy), np.zeros_like(dy)
    dh = 0
    for t in reversed(range(len(x))):
        delta[t] = bounded(dy[t] + back[t] * dh, clip_delta)
        z = x[t] @ params["Wx"] + states[t]["h"] @ params["Wh"] + params["b"]
        dz[t] = delta[t] * ACTIVATIONS[layer.activation][1](z)
        dh = dz[t] @ returning(params, "Wh").T
    return dz @ returning(params, "Wx").T, _weight_grads(x, states, dz), {"h": dh}, delta


def _lstm_back(layer, params, x, states, dy, clip_delta, back):
    delta, dx = np.zeros_like(dy), np.zeros_like(x)
    grads = {n: np.zeros_like(param) for n, param in params.items() if not n.startswith("B")}
    dh = dc = 0
    for t in reversed(range(len(x))):
        delta[t] = bounded(dy[t] + back[t] * dh, clip_delta)
        h, c = states[t]["h"], states[t]["c"]
        i, f, g, o, new, inner = lstm(layer, params, x[t], states[t])
        do = delta[t] * np.tanh(inner) * o * (1 - o)
        dinner = delta[t] * o / np.cosh(inner) ** 2
        if layer.layer_norm:
            grads["gc"] += (dinner * standard(new)[0]).sum(axis=0)
            grads["bc"] += dinner.sum(axis=0)
            dinner = standard_back(dinner * params["gc"], new)
        dc = back[t] * dc + dinner
        if layer.peepholes:
            dc = dc + do * params["p"][2]
        di, df, dg = dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g**2)
        dc = dc * f
        if layer.peepholes:
            dc = dc + di * params["p"][0] + df * params["p"][1]
            grads["p"] += np.stack([di * c, df * c, do * new]).sum(axis=1)
        dz = dz_x = dz_h = np.concatenate([di, df, dg, do], axis=-1)
        if layer.layer_norm:
            from_x, from_h = x[t] @ params["Wx"], h @ params["Wh"]
            grads["gx"] += (dz * standard(from_x)[0]).sum(axis=0)
            grads["gh"] += (dz * standard(from_h)[0]).sum(axis=0)
            dz_x = standard_back(dz * params["gx"], from_x)
            dz_h = standard_back(dz * params["gh"], from_h)
        grads["Wx"] += x[t].T @ dz_x
        grads["Wh"] += h.T @ dz_h
        grads["b"] += dz.sum(axis=0)
        dx[t], dh = dz_x @ returning(params, "Wx").T, dz_h @ returning(params, "Wh").T
    return dx, grads, {"h": dh, "c": dc}, delta


def _gru_back(layer, params, x, states, dy, clip_delta, back):
    delta, dx = np.zeros_like(dy), np.zeros_like(x)
    grads = {n: np.zeros_like(param) for n, param in params.items() if not n.startswith("B")}
    wh = returning(params, "Wh")
    whn = wh[:, 2 * layer.n :]
    dh = 0
    for t in reversed(range(len(x))):
        delta[t] = bounded(dy[t] + back[t] * dh, clip_delta)
        h = states[t]["h"]
        r, z, n, inner, _ = gru(layer, params, x[t], h)
        dn, dz = delta[t] * (1 - z) * (1 - n**2), delta[t] * (h - n) * z * (1 - z)
        dreset = dn if layer.reset_after else dn @ whn.T
        dr, dinner = dreset * inner * r * (1 - r), dreset * r
        dgates = np.concatenate([dr, dz], axis=-1)
        dh = delta[t] * z + dgates @ wh[:, : 2 * layer.n].T
        if layer.reset_after:
            dh = dh + dinner @ whn.T
            grads["Wh"] += h.T @ np.concatenate([dgates, dinner], axis=-1)
            grads["bh"] += dinner.sum(axis=0)
        else:
            dh = dh + dinner
            grads["Wh"] += np.concatenate([h.T @ dgates, (r * h).T @ dn], axis=-1)
        dz_x = np.concatenate([dgates, dn], axis=-1)
        grads["Wx"] += x[t].T @ dz_x
        grads["b"] += dz_x.sum(axis=0)
        dx[t] = dz_x @ returning(params, "Wx").T
    return dx, grads, {"h": dh}, delta


def _running_back(layer, params, x, states, dy, clip_delta, back):
    delta, dx = np.zeros_like(dy), np.zeros_like(x)
    dh = 0
    for t in reversed(range(len(x))):
        delta[t] = bounded(dy[t] + back[t] * dh, clip_delta)
        w = share(type(layer).__name__, x[t], states[t])
        dx[t], dh = w * delta[t], (1 - w) * delta[t]
    return dx, {}, {"h": dh, "count": np.zeros_like(dh)}, delta


def _last_back(layer, params, x, states, dy, clip_delta, back):
    return dy, {}, {}, None


def _activation_back(layer, params, x, states, dy, clip_delta, back):
    return dy * ACTIVATIONS[layer.activation][1](x), {}, {}, None


def _layer_norm_back(layer, params, x, states, dy, clip_delta, back):
    away = x - x.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((away**2).mean(axis=-1, keepdims=True) + layer.eps)
    normed, error = away / deviation, dy * params["gamma"]
    along = (error * normed).mean(axis=-1, keepdims=True)
    dx = (error - error.mean(axis=-1, keepdims=True) - normed * along) / deviation
    grads = {"gamma": (dy * normed).sum(axis=(0, 1)), "beta": dy.sum(axis=(0, 1))}
    return dx, grads, {}, None


def _batch_norm_back(layer, params, x, states, dy, clip_delta, back):
    mean, var = params.get("running_mean", 0.0), params.get("running_var", 1.0)
    deviation = np.sqrt(var + layer.eps)
    normed = (x - mean) / deviation
    grads = {"gamma": (dy * normed).sum(axis=(0, 1)), "beta": dy.sum(axis=(0, 1))}
    return dy * params["gamma"] / deviation, grads, {}, None


def _residual_back(layer, params, x, states, dy, clip_delta, back):
    inner = layer.layer
    go_back = _BACK[type(inner).__name__]
    dx, *rest = go_back(inner, params, x, states, dy, clip_delta, back)
    return dx + dy, *rest


def _weight_grads(x, states, dz):
    h = np.array([state["h"] for state in states[:-1]])
    return {
        "Wx": np.einsum("tbi,tbg->ig", x, dz),
        "Wh": np.einsum("tbh,tbg->hg", h, dz),
        "b": dz.sum(axis=(0, 1)),
    }


_BACK = {
    "Embedding": _embedding_back,
    "Linear": _linear_back,
    "RNN": _rnn_back,
    "LSTM": _lstm_back,
    "GRU": _gru_back,
    "Mean": _running_back,
    "Max": _running_back,
    "Last": _last_back,
    "Activation": _activation_back,
    "LayerNorm": _layer_norm_back,
    "BatchNorm": _batch_norm_back,
    "Residual": _residual_back,
}


def lanes(column, batch):
    """``column`` (n, ...) cut into lanes (T, B, ...), zero where a lane has ended; and (T, B) where
    it has not."""
    pieces = np.array_split(column, batch)
    steps = len(pieces[0])
    laid = np.zeros((steps, batch, *column.shape[1:]), column.dtype)
    there = np.zeros((steps, batch), bool)
    for b, piece in enumerate(pieces):
        laid[: len(piece), b] = piece
        there[: len(piece), b] = True
    return laid, there


def update(layers, params, x, targets, there, new, k2, losses=None, clip_delta=math.inf,
           back=None, scale=None):  # fmt: skip
    """One update by brute force, from the state that today's parameters reach: a `Result`.

    x, targets, there : whole lanes, (T, B, ...).
    new : slice of the new steps.
    losses : how many of them, the newest, have a loss that enters; all if None.
    back : for each new step, as in `backward`; None for 1.
    scale : as in `backward`.
    """
    first = max(0, new.stop - k2)
    state = zero_state(layers, x.shape[1])
    if first:
        _, state = forward(layers, params, x[:first], state)
    weights = np.ones(new.stop - first)
    if back is not None:
        weights[new.start - first :] = back
    newest = new if losses is None else slice(max(new.start, new.stop - losses), new.stop)
    return backward(layers, params, x[first : new.stop], targets[newest], state,
                    there[newest], clip_delta, weights, scale)  # fmt: skip


def tbptt(layers, params, x, targets, there, k1, k2, clip_delta=math.inf, losses=None):
    """Every `update` of TBPTT(k1, k2) with frozen parameters."""
    for start in range(0, len(x), k1):
        new = slice(start, min(start + k1, len(x)))
        yield update(layers, params, x, targets, there, new, k2, losses, clip_delta)
