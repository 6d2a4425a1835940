"""The layers, one file each. A new one is a new file and a row in `LAYERS`."""

from .activation import Activation
from .base import Layer
from .batch_norm import BatchNorm
from .dropout import Dropout
from .embedding import Embedding
from .gru import GRU
from .layer_norm import LayerNorm
from .linear import Linear
from .lstm import LSTM
from .pooling import Last, Max, Mean
from .residual import Residual
from .rnn import RNN

__all__ = [
    "GRU", "LAYERS", "LSTM", "RNN", "Activation", "BatchNorm", "Dropout", "Embedding", "Last",
    "Layer", "LayerNorm", "Linear", "Max", "Mean", "Residual",
]  # fmt: skip

LAYERS = {
    layer.__name__: layer
    for layer in (
        Embedding, Linear, RNN, LSTM, GRU, Activation, LayerNorm, BatchNorm, Mean, Max, Last,
        Dropout, Residual,
    )
}  # fmt: skip
"""Name -> class, by which files name them."""
