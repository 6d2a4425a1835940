"""Data as the trainer reads it: text as ids, and streams cut into lanes."""

from .stream import Chunk, Reader, Stream
from .text import Vocabulary

__all__ = ["Chunk", "Reader", "Stream", "Vocabulary"]
