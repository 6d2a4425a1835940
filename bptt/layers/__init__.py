"""The layers, one file each. A new one is a new file and a row in `LAYERS`."""

from .activation import Activation
from .activation_penalty import ActivationPenalty
from .base import Layer
from .batch_norm import BatchNorm
from .bidirectional import Bidirectional
from .dropout import Dropout
from .embedding import Embedding
from .gru import GRU
from .layer_norm import LayerNorm
from .linear import Linear
from .lstm import LSTM
from .pooling import Last, Max, Mean
from .residual import Residual
from .rnn import RNN
from .variational_dropout import VariationalDropout
from .zoneout import Zoneout

__all__ = [
    "GRU", "LAYERS", "LSTM", "RNN", "Activation", "ActivationPenalty", "BatchNorm", "Bidirectional",
    "Dropout", "Embedding", "Last", "Layer", "LayerNorm", "Linear", "Max", "Mean", "Residual",
    "VariationalDropout", "Zoneout",
]  # fmt: skip

LAYERS = {
    layer.__name__: layer
    for layer in (
        Embedding,
        Linear,
        RNN,
        LSTM,
        GRU,
        Activation,
        LayerNorm,
        BatchNorm,
        Mean,
        Max,
        Last,
        Dropout,
        VariationalDropout,
        ActivationPenalty,
        Zoneout,
        Residual,
        Bidirectional,
    )
}
"""Name -> class, by which files name them."""
