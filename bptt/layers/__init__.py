"""The layers, one file each. A new one is a new file and a row in `LAYERS`."""

from .base import Layer
from .bidirectional import Bidirectional
from .dropout import Dropout
from .embedding import Embedding
from .gru import GRU
from .linear import Linear
from .lstm import LSTM
from .pooling import Last, Max, Mean
from .residual import Residual
from .rnn import RNN

__all__ = [
    "GRU", "LAYERS", "LSTM", "RNN", "Bidirectional", "Dropout", "Embedding", "Last", "Layer",
    "Linear", "Max", "Mean", "Residual",
]  # fmt: skip

LAYERS = {
    layer.__name__: layer
    for layer in (
        Embedding, Linear, RNN, LSTM, GRU, Mean, Max, Last, Dropout, Residual, Bidirectional,
    )
}  # fmt: skip
"""Name -> class, by which files name them."""
