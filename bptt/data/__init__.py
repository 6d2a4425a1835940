"""Sequences as a trainer reads them: lanes over one long one, or many side by side; and text."""

from .feed import Feed
from .padded import Padded
from .source import Chunk, Reader, Source
from .stream import Stream
from .text import Vocabulary

__all__ = ["Chunk", "Feed", "Padded", "Reader", "Source", "Stream", "Vocabulary"]
