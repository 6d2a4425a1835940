"""The layers, one file each. A new one is a new file and a row in `LAYERS`."""

from .base import Layer
from .embedding import Embedding
from .gru import GRU
from .linear import Linear
from .lstm import LSTM
from .rnn import RNN

__all__ = ["GRU", "LAYERS", "LSTM", "RNN", "Embedding", "Layer", "Linear"]

LAYERS = {layer.__name__: layer for layer in (Embedding, Linear, RNN, LSTM, GRU)}
"""Name -> class, by which files name them."""
