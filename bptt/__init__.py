"""Recurrent networks trained through time on a CPU, with truncation as a defined choice.

The tour is in ``docs/``; `Model`, `Trainer` and `Stream` are where to begin.
"""

from . import datasets, initializers, plot
from .block import Block
from .callbacks import Callback, Checkpoint, CSVLog, EarlyStopping, JSONLog
from .clip import Clip, ClipAdaptive, ClipNorm, Clipping, ClipValue
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
    ActivationPenalty,
    BatchNorm,
    Bidirectional,
    Dropout,
    Embedding,
    Last,
    Layer,
    LayerNorm,
    Linear,
    Max,
    Mean,
    Residual,
    VariationalDropout,
    Zoneout,
)
from .losses import AbsoluteError, BinaryCrossEntropy, CrossEntropy, Huber, Loss, SquaredError
from .model import Model
from .optimizers import SGD, AdaGrad, Adam, AdamW, Optimizer, RMSProp
from .outcome import Epoch, Step
from .predict import predict
from .regularizers import L1, L2, Regularizer, WeightDrop, WeightNoise
from .report import TruncationReport, truncation_report
from .requirements import check_version
from .rtrl import OnlineStep, rtrl, rtrl_steps
from .schedules import Cosine, Exponential, OnPlateau, Schedule, StepDecay, WarmUp
from .spectrum import JacobianSpectrum, jacobian_spectrum
from .trainer import Trainer
from .truncation import ARTBP, TBPTT, AdaptiveTBPTT, FullBPTT, RandomTBPTT, Truncation
from .watch import ParameterNorms, Watch

__version__ = "0.1.0"

for package in ("numpy", "numba", "tqdm", "safetensors"):
    check_version(package)
del check_version, package

__all__ = [
    "ARTBP",
    "GRU",
    "L1",
    "L2",
    "LSTM",
    "RNN",
    "SGD",
    "TBPTT",
    "AbsoluteError",
    "Activation",
    "ActivationPenalty",
    "AdaGrad",
    "Adam",
    "AdamW",
    "AdaptiveTBPTT",
    "BatchNorm",
    "Bidirectional",
    "BinaryCrossEntropy",
    "Block",
    "CSVLog",
    "Callback",
    "Checkpoint",
    "Clip",
    "ClipAdaptive",
    "ClipNorm",
    "ClipValue",
    "Clipping",
    "Cosine",
    "CrossEntropy",
    "DataError",
    "Dropout",
    "EarlyStopping",
    "Embedding",
    "Epoch",
    "Exponential",
    "Feed",
    "FileFormatError",
    "FullBPTT",
    "GradientFlow",
    "Gradients",
    "History",
    "Huber",
    "JSONLog",
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
    "OnPlateau",
    "OnlineStep",
    "Optimizer",
    "Padded",
    "ParameterNorms",
    "RMSProp",
    "RandomTBPTT",
    "Regularizer",
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
    "VariationalDropout",
    "Vocabulary",
    "WarmUp",
    "Watch",
    "WeightDrop",
    "WeightNoise",
    "Zoneout",
    "datasets",
    "gradient_flow",
    "gradients",
    "histories",
    "initializers",
    "jacobian_spectrum",
    "plot",
    "predict",
    "rtrl",
    "rtrl_steps",
    "truncation_report",
    "value_and_grad",
]
