"""Recurrent networks trained through time on a CPU, with truncation as a defined choice.

The tour is in ``docs/``; `Model`, `Trainer` and `Stream` are where to begin.
"""

from . import datasets, plot
from .block import Block
from .clip import Clip, ClipNorm, Clipping, ClipValue
from .data import Stream, Vocabulary
from .errors import DataError, FileFormatError, NonFiniteError, ShapeError
from .flow import GradientFlow, gradient_flow
from .gradient import Gradients, gradients, value_and_grad
from .histories import histories
from .history import History
from .layers import (
    GRU,
    LSTM,
    RNN,
    Embedding,
    Last,
    Layer,
    Linear,
    Max,
    Mean,
    Residual,
)  # fmt: skip
from .losses import CrossEntropy, Loss, SquaredError
from .model import Model
from .optimizers import SGD, Adam, Optimizer
from .report import TruncationReport, truncation_report
from .schedules import Exponential, Schedule
from .spectrum import JacobianSpectrum, jacobian_spectrum
from .trainer import Step, Trainer
from .truncation import ARTBP, TBPTT, AdaptiveTBPTT, FullBPTT, RandomTBPTT, Truncation
from .watch import ParameterNorms, Watch

__version__ = "0.1.0"

__all__ = [
    "ARTBP",
    "GRU",
    "LSTM",
    "RNN",
    "SGD",
    "TBPTT",
    "Adam",
    "AdaptiveTBPTT",
    "Block",
    "Clip",
    "ClipNorm",
    "ClipValue",
    "Clipping",
    "CrossEntropy",
    "DataError",
    "Embedding",
    "Exponential",
    "FileFormatError",
    "FullBPTT",
    "GradientFlow",
    "Gradients",
    "History",
    "JacobianSpectrum",
    "Last",
    "Layer",
    "Linear",
    "Loss",
    "Max",
    "Mean",
    "Model",
    "NonFiniteError",
    "Optimizer",
    "ParameterNorms",
    "RandomTBPTT",
    "Residual",
    "Schedule",
    "ShapeError",
    "SquaredError",
    "Step",
    "Stream",
    "Trainer",
    "Truncation",
    "TruncationReport",
    "Vocabulary",
    "Watch",
    "datasets",
    "gradient_flow",
    "gradients",
    "histories",
    "jacobian_spectrum",
    "plot",
    "truncation_report",
    "value_and_grad",
]
