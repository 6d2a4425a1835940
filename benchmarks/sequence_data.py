"""Real sequences, read from files that the benchmark is told where to find."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["KEYS", "Labelled", "chorales", "digits", "sunspots", "vowels"]

KEYS = 88
"""Of a piano, one for each bit of a step of music."""


class Labelled(NamedTuple):
    """Sequences (T_i, F), and the class of each, (N,)."""

    sequences: list[NDArray[np.float32]]
    labels: NDArray[np.int64]


def vowels(folder: Path) -> dict[str, Labelled]:
    """JapaneseVowels: utterances of nine speakers, 12 channels, as "train" and "test"."""
    where = folder / "JapaneseVowels"
    return {
        part: _read_ts(where / f"JapaneseVowels_{part.upper()}.ts") for part in ("train", "test")
    }


def _read_ts(path: Path) -> Labelled:
    """A UEA file: after ``@data`` a sequence in a line, ``channel:channel:label``."""
    lines = path.read_text(encoding="utf-8").splitlines()
    begins = next(i for i, line in enumerate(lines) if line.strip().lower() == "@data") + 1
    found = [line.strip().split(":") for line in lines[begins:] if line.strip()]
    kinds = sorted({fields[-1] for fields in found})
    sequences = [
        np.array([[float(value) for value in channel.split(",")] for channel in fields[:-1]]).T
        for fields in found
    ]
    labels = np.array([kinds.index(fields[-1]) for fields in found])
    return Labelled([np.ascontiguousarray(s, np.float32) for s in sequences], labels)


def digits(folder: Path) -> Labelled:
    """Images of 8 x 8 pixels from 0 to 16, row by row: 64 steps of one feature, from 0 to 1."""
    with gzip.open(folder / "digits.csv.gz", "rt", encoding="utf-8") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.float32)
    return Labelled(list(table[:, :-1, np.newaxis] / 16), table[:, -1].astype(np.int64))


def sunspots(folder: Path) -> NDArray[np.float64]:
    """Sunspots of every month since January 1749, (N,)."""
    path = folder / "timeseries" / "monthly-sunspots.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return np.array([float(row["Sunspots"]) for row in csv.DictReader(file)])


def chorales(folder: Path) -> dict[str, list[NDArray[np.float32]]]:
    """Bach's chorales as "train", "valid" and "test": pieces (T_i, 88), 1 where a key sounds."""
    with np.load(folder / "JSB_Chorales.npz") as file:
        return {part: _pieces(file, part) for part in ("train", "valid", "test")}


def _pieces(file: np.lib.npyio.NpzFile, part: str) -> list[NDArray[np.float32]]:
    roll = np.unpackbits(file[f"{part}data_roll"], axis=1)[:, :KEYS].astype(np.float32)
    return np.split(roll, np.cumsum(file[f"{part}data_len"])[:-1])
