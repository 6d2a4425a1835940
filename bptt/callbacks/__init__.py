"""What happens while a trainer trains: each a small frozen thing, one file each.

A new one is a new file and a row in `CALLBACKS`.
"""

from .attached import Callbacks
from .base import Callback
from .checkpoint import Checkpoint
from .early_stopping import EarlyStopping
from .log import CSVLog, JSONLog
from .stored import CALLBACKS, foreign, from_words, to_words

__all__ = [
    "CALLBACKS",
    "CSVLog",
    "Callback",
    "Callbacks",
    "Checkpoint",
    "EarlyStopping",
    "JSONLog",
    "foreign",
    "from_words",
    "to_words",
]
