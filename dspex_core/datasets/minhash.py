"""The texts of one list that are likely to be like those of another. PYTEST_DONT_REWRITE

MinHash signatures of character shingles, and locality-sensitive hashing of them (A. Z. Broder, "On the resemblance and
containment of documents", 1997; J. Leskovec, A. Rajaraman and J. D. Ullman, "Mining of Massive Datasets", chapter 3).
It loads NumPy, so it is imported only where it is used.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from dspex_core.errors.foreign_code import foreign_code

with foreign_code():
    import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Numbers = NDArray[np.uint32]

_HASHES = 128
_BAND = 4  # hashes in a band: of pairs that are 0.7 alike, 1 in 6,000 shares none of the 32 bands, by the formula there
_MOST_CANDIDATES = 500  # of one text; of one with more, all are compared
_SKETCH, _MOST_SKETCHED = 32, 128  # hashes by which many candidates become these many
_MOST_RETURNED = 5


def likeliest(
    texts: Sequence[Sequence[str]], others: Sequence[Sequence[str]], *, width: int
) -> Iterator[tuple[int, list[int]]]:
    """Yield the number of each item that is like some of the others, with the numbers of those that are most like it.

    An item is some texts, each of which is compared with that in its place, by shingles of `width` characters. What
    items have in common is estimated, so some of those that are yielded are not alike.
    """
    mine, theirs = (_signatures([_shingles(each, width) for each in side]) for side in (texts, others))
    sketches = np.ascontiguousarray(theirs[:, :_SKETCH].T)
    for number, found in _candidates(mine, theirs):
        candidates = found
        if len(found) > _MOST_SKETCHED:
            chosen = sketches if len(found) == len(theirs) else sketches[:, found]
            alike = (chosen == mine[number, :_SKETCH, None]).sum(axis=0, dtype=np.uint8)
            candidates = found[np.argpartition(alike, -_MOST_SKETCHED)[-_MOST_SKETCHED:]]
        alike = (theirs[candidates] == mine[number]).sum(axis=1)
        yield number, candidates[np.argsort(-alike, kind="stable")[:_MOST_RETURNED]].tolist()


def _shingles(texts: Sequence[str], width: int) -> Numbers:
    """Return the hashes of the shingles of an example's inputs; those of another input are others."""
    parts = []
    for field, text in enumerate(texts):
        padded = f"{text} ".rjust(width)
        codes = np.frombuffer(padded.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        mixed = np.full(len(codes) - width + 1, 2654435761 * (field + 1) % 2**32, dtype=np.uint32)
        for offset in range(width):
            mixed = (mixed ^ codes[offset : offset + len(mixed)]) * np.uint32(0x85EBCA6B)
            mixed ^= mixed >> np.uint32(15)
        parts.append(mixed)
    return np.unique(np.concatenate(parts)) if parts else np.zeros(1, dtype=np.uint32)


def _signatures(shingles: Sequence[Numbers]) -> Numbers:
    """Return the MinHash signature of each set: for each of some hash functions, the lowest hash in the set."""
    seeds = hashlib.shake_128(b"minhash").digest(8 * _HASHES)
    factors, terms = np.frombuffer(seeds, dtype=np.uint32).reshape(2, _HASHES)
    signatures = np.empty((len(shingles), _HASHES), dtype=np.uint32)
    for number, each in enumerate(shingles):
        hashed = (each[:, None] ^ terms) * (factors | np.uint32(1))
        hashed ^= hashed >> np.uint32(16)
        hashed *= np.uint32(0xC2B2AE35)
        signatures[number] = hashed.min(axis=0)
    return signatures


def _candidates(mine: Numbers, others: Numbers) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Yield each row of `mine` with the rows of `others` that have all hashes of a band in common with it."""
    lows, highs, orders = [], [], []
    for start in range(0, _HASHES, _BAND):
        keys = [_band_keys(each[:, start : start + _BAND]) for each in (mine, others)]
        order = np.argsort(keys[1], kind="stable")
        ordered = keys[1][order]
        lows.append(np.searchsorted(ordered, keys[0], side="left"))
        highs.append(np.searchsorted(ordered, keys[0], side="right"))
        orders.append(order)
    low, high = np.stack(lows), np.stack(highs)
    counts = (high - low).sum(axis=0)
    for number in np.flatnonzero(counts):
        if counts[number] > _MOST_CANDIDATES:
            yield int(number), np.arange(len(others))
            continue
        bands = np.flatnonzero(high[:, number] > low[:, number])
        found = [orders[band][low[band, number] : high[band, number]] for band in bands]
        yield int(number), np.unique(np.concatenate(found))


def _band_keys(band: Numbers) -> NDArray[np.uint64]:
    keys = np.zeros(len(band), dtype=np.uint64)
    for column in range(band.shape[1]):
        keys = (keys ^ band[:, column]) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(29)
    return keys
