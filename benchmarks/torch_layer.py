"""One layer of PyTorch, forward and back, with the parameters of a problem."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from .adapter import Problem

__all__ = ["TorchCell", "TorchLayer"]

_CLASSES = {"lstm": torch.nn.LSTM, "rnn": torch.nn.RNN, "gru": torch.nn.GRU}
_CELLS = {"lstm": torch.nn.LSTMCell, "rnn": torch.nn.RNNCell, "gru": torch.nn.GRUCell}


class TorchLayer:
    """`nn.LSTM`, `nn.RNN` or `nn.GRU` on so many threads."""

    def __init__(self, problem: Problem, threads: int) -> None:
        case, params = problem.case, problem.params
        self._threads = threads
        self._layer = _CLASSES[problem.cell](case.n_in, case.n)
        with torch.no_grad():
            self._layer.weight_ih_l0.copy_(torch.from_numpy(params["Wx"].T))
            self._layer.weight_hh_l0.copy_(torch.from_numpy(params["Wh"].T))
            self._layer.bias_ih_l0.copy_(torch.from_numpy(params["b"]))
            self._layer.bias_hh_l0.zero_()
            if "bh" in params:
                self._layer.bias_hh_l0[-case.n :] = torch.from_numpy(params["bh"])
        self._names = list(params)
        self._x = torch.from_numpy(problem.x.copy()).requires_grad_()
        self._dy = torch.from_numpy(problem.dy.copy())
        self._inputs = [self._x, *self._layer.parameters()]

    def state(self) -> dict[str, torch.Tensor]:
        """Its parameters, as PyTorch names them."""
        return self._layer.state_dict()

    def run(self) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """y, and the gradients of x, weight_ih, weight_hh and the biases."""
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        y, _ = self._layer(self._x)
        return y, torch.autograd.grad(y, self._inputs, self._dy)

    def forward(self) -> NDArray:
        """y, in inference mode."""
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        with torch.inference_mode():
            return self._layer(self._x)[0].numpy()

    def results(self) -> dict[str, NDArray]:
        """As bptt names and lays them out."""
        y, (dx, dwx, dwh, db, dbh) = self.run()
        found = {"y": y, "x": dx, "Wx": dwx.T, "Wh": dwh.T, "b": db, "bh": dbh[-y.shape[2] :]}
        named = ("y", "x", *self._names)
        return {name: np.array(found[name].detach().numpy()) for name in named}


class TorchCell:
    """`nn.LSTMCell`, `nn.RNNCell` or `nn.GRUCell` on so many threads, with the same parameters."""

    def __init__(self, problem: Problem, threads: int) -> None:
        case, layer = problem.case, TorchLayer(problem, threads)
        self._threads, self._x = threads, torch.from_numpy(problem.x[0].copy())
        self._cell = _CELLS[problem.cell](case.n_in, case.n)
        self._cell.load_state_dict(
            {name.removesuffix("_l0"): value for name, value in layer.state().items()}
        )

    def forward(self) -> NDArray:
        """y (1, B, H), in inference mode."""
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        with torch.inference_mode():
            after = self._cell(self._x)
            return (after[0] if isinstance(after, tuple) else after)[None].numpy()
