"""The same sound twice: fingerprints that differ in few bits, found among any number of them.

Two fingerprints that differ in fewer than n bits are equal in one of n parts at least, so only
those that share a part are compared; nothing is missed.
Shapes: N fingerprints, Y bytes of one, B bits of one, K pairs.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from moss_speech.audio import Samples

PRINT_FRAMES, PRINT_BANDS = 33, 17
PRINT_BITS = (PRINT_FRAMES - 1) * (PRINT_BANDS - 1)
_COMPARED = 1_000_000
"""Pairs that are compared at once."""
_KEYED = 65_536
"""Fingerprints that are taken apart at once."""


def fingerprint(samples_S: Samples) -> bytes:
    """512 bits of samples at 16 kHz: does the difference of neighbouring bands rise with time.

    The same bits for any level; the clip's length is not part of them.
    """
    padded_S = torch.from_numpy(np.pad(samples_S, (0, max(0, 2048 - len(samples_S)))))
    power_KF = torch.stft(
        padded_S, 1024, 256, window=torch.hann_window(1024), return_complex=True
    ).abs()
    coarse_BF = torch.nn.functional.adaptive_avg_pool2d(
        power_KF[:256].unsqueeze(0).square(), (PRINT_BANDS, PRINT_FRAMES)
    )[0]
    slope_BF = torch.diff(torch.log(coarse_BF + 1e-12), dim=0)
    return np.packbits((torch.diff(slope_BF, dim=1) > 0).numpy()).tobytes()


def distance(a: bytes, b: bytes) -> float:
    """Share of bits in which two fingerprints differ, 0..1."""
    different: NDArray[np.uint8] = np.frombuffer(a, np.uint8) ^ np.frombuffer(b, np.uint8)
    return float(np.unpackbits(different).mean())


def duplicates(
    prints_NY: NDArray[np.uint8], below: float, groups_N: NDArray[np.int64]
) -> dict[int, tuple[int, float]]:
    """Of each fingerprint that an earlier kept one comes closer to than `below`: which, how close.

    Only those of a group are compared. Of equal distances the earlier counts.
    """
    marked = np.concatenate([prints_NY, groups_N[:, None].view(np.uint8)], axis=1)
    whole = marked.view(np.dtype((np.void, marked.shape[1])))[:, 0]
    _, firsts_K, same_N = np.unique(whole, return_index=True, return_inverse=True)
    first_of_N, firsts_K = firsts_K[same_N], np.sort(firsts_K)
    doubles = _near(prints_NY[firsts_K], below, groups_N[firsts_K], firsts_K)
    for later in np.flatnonzero(first_of_N != np.arange(len(prints_NY))) if below else []:
        first = int(first_of_N[later])
        doubles[int(later)] = doubles.get(first, (first, 0.0))
    return doubles


def _near(
    prints_NY: NDArray[np.uint8],
    below: float,
    groups_N: NDArray[np.int64],
    names_N: NDArray[np.int64],
) -> dict[int, tuple[int, float]]:
    """The same, by name, among fingerprints that all differ."""
    found: dict[int, list[tuple[float, int]]] = {}
    for earlier, later, apart in _close_pairs(prints_NY, below, groups_N):
        found.setdefault(int(names_N[later]), []).append((apart, int(names_N[earlier])))
    doubles: dict[int, tuple[int, float]] = {}
    for later in sorted(found):
        if kept := [(apart, n) for apart, n in found[later] if n not in doubles]:
            apart, earlier = min(kept)
            doubles[later] = (earlier, apart)
    return doubles


def _close_pairs(
    prints_NY: NDArray[np.uint8], below: float, groups_N: NDArray[np.int64]
) -> set[tuple[int, int, float]]:
    """(earlier, later, distance) of all pairs of a group that are closer than `below`."""
    n_parts = int(np.ceil(below * PRINT_BITS))  # at most n_parts - 1 bits differ
    shuffled = np.random.default_rng(0).permutation(PRINT_BITS)  # silence is not all in one part
    pairs: set[tuple[int, int, float]] = set()
    for bits in np.array_split(shuffled, n_parts) if n_parts else []:
        order, runs = _equal_runs(_keys(prints_NY, bits))
        for first, end in runs:
            pairs |= _compare(prints_NY, np.sort(order[first:end]), below, groups_N)
    return pairs


def _keys(prints_NY: NDArray[np.uint8], bits: NDArray[np.int64]) -> NDArray[np.void]:
    """Some bits of each fingerprint as one comparable value."""
    shifts = (7 - bits % 8).astype(np.uint8)
    packed = np.empty((len(prints_NY), -(-len(bits) // 8)), np.uint8)
    for start in range(0, len(prints_NY), _KEYED):
        some = slice(start, start + _KEYED)
        packed[some] = np.packbits((prints_NY[some, bits // 8] >> shifts) & 1, axis=1)
    return packed.view(np.dtype((np.void, packed.shape[1])))[:, 0]


def _equal_runs(keys: NDArray[np.void]) -> tuple[NDArray[np.int64], list[list[int]]]:
    """The order that sorts keys, and the runs of equal ones in it that hold two or more."""
    order = np.argsort(keys, kind="stable")
    in_order = keys[order]
    changes = np.flatnonzero(in_order[1:] != in_order[:-1]) + 1
    borders = np.concatenate([[0], changes, [len(keys)]])
    several = np.flatnonzero(np.diff(borders) > 1)
    return order, np.stack([borders[several], borders[several + 1]], axis=1).tolist()


def _compare(
    prints_NY: NDArray[np.uint8],
    members: NDArray[np.int64],
    below: float,
    groups_N: NDArray[np.int64],
) -> set[tuple[int, int, float]]:
    pairs: set[tuple[int, int, float]] = set()
    step = max(1, _COMPARED // len(members))
    for start in range(0, len(members), step):
        some = members[start : start + step]
        different = prints_NY[some][:, None] ^ prints_NY[members][None]
        apart = np.bitwise_count(different).sum(-1) / PRINT_BITS
        related = groups_N[some][:, None] == groups_N[members][None]
        for i, j in np.argwhere((apart < below) & (some[:, None] < members[None]) & related):
            pairs.add((int(some[i]), int(members[j]), float(apart[i, j])))
    return pairs
