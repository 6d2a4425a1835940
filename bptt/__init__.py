"""Recurrent networks trained through time on a CPU, with truncation as a defined choice.

The tour is in ``docs/``; `Model`, `Trainer` and `Stream` are where to begin.
"""

from . import datasets, initializers, plot
from .block import Block
from .clip import Clip, ClipNorm, Clipping, ClipValue
from .data import Feed, Padded, Stream, Vocabulary
from .errors import DataError, FileFormatError, NonFiniteError, ShapeError
from .flow import GradientFlow, gradient_flow
from .gradient import Gradients, gradients, value_and_grad
from .histories import histories
from .history import History
from .layers import (
    GRU,
    LSTM,
    RNN,
    Activation,
    BatchNorm,
    Dropout,
    Embedding,
    Last,
    Layer,
    LayerNorm,
    Linear,
    Max,
    Mean,
    Residual,
)
from .losses import AbsoluteError, BinaryCrossEntropy, CrossEntropy, Huber, Loss, SquaredError
from .model import Model
from .optimizers import SGD, AdaGrad, Adam, AdamW, Optimizer, RMSProp
from .predict import predict
from .report import TruncationReport, truncation_report
from .schedules import Cosine, Exponential, Schedule, StepDecay, WarmUp
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
    "AbsoluteError",
    "Activation",
    "AdaGrad",
    "Adam",
    "AdamW",
    "AdaptiveTBPTT",
    "BatchNorm",
    "BinaryCrossEntropy",
    "Block",
    "Clip",
    "ClipNorm",
    "ClipValue",
    "Clipping",
    "Cosine",
    "CrossEntropy",
    "DataError",
    "Dropout",
    "Embedding",
    "Exponential",
    "Feed",
    "FileFormatError",
    "FullBPTT",
    "GradientFlow",
    "Gradients",
    "History",
    "Huber",
    "JacobianSpectrum",
    "Last",
    "Layer",
    "LayerNorm",
    "Linear",
    "Loss",
    "Max",
    "Mean",
    "Model",
    "NonFiniteError",
    "Optimizer",
    "Padded",
    "ParameterNorms",
    "RMSProp",
    "RandomTBPTT",
    "Residual",
    "Schedule",
    "ShapeError",
    "SquaredError",
    "Step",
    "StepDecay",
    "Stream",
    "Trainer",
    "Truncation",
    "TruncationReport",
    "Vocabulary",
    "WarmUp",
    "Watch",
    "datasets",
    "gradient_flow",
    "gradients",
    "histories",
    "initializers",
    "jacobian_spectrum",
    "plot",
    "predict",
    "truncation_report",
    "value_and_grad",
]
