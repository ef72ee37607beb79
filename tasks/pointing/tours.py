"""Shortest tours: Held and Karp's where they are few enough points, else insertion and local search; whole batches.

Dimensions: B sets, N points.
"""

from __future__ import annotations

import functools
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from lukasa.tasks.pointing.geometry import Array, distances

Tours = NDArray[np.int64]

EXACT = 12
"""Points up to which tours are the shortest there are."""

AT_ONCE = 32
"""Sets whose tables are filled side by side: more of them leave the processor's cache."""

TOLERANCE = 1e-10
"""A change that gains less is none: rounding must not have the search go round in circles."""


def shortest_tours(points: Array) -> Tours:
    """The shortest closed tour through each set that is known; exact for up to 12 points.

    Each begins with the first point and turns counter-clockwise, so that a set has one answer.

    Args:
        points: float64 [B, N, 2], N at least 3.

    Returns:
        int64 [B, N].
    """
    tours = held_karp(points) if points.shape[1] <= EXACT else searched_tours(points)
    return counter_clockwise(points, tours)


def counter_clockwise(points: Array, tours: Tours) -> Tours:
    """The same tours [B, N], those that turn clockwise backwards, each from its first point on."""
    x, y = np.moveaxis(np.take_along_axis(points, tours[..., None], 1), -1, 0)
    area = (x * np.roll(y, -1, 1) - y * np.roll(x, -1, 1)).sum(1)
    backwards = np.concatenate([tours[:, :1], tours[:, :0:-1]], 1)
    return np.where((area < 0)[:, None], backwards, tours)


def held_karp(points: Array) -> Tours:
    """Shortest tours by dynamic programming over subsets (Held and Karp 1962; Bellman 1962), in O(2^N N^2).

    ``best[S, j]`` is the length of the shortest path from the first point through all of S that ends in j.

    Args:
        points: float64 [B, N, 2].

    Returns:
        int64 [B, N], each from the first point on.
    """
    if not len(points):
        return np.zeros(points.shape[:2], np.int64)
    return np.concatenate([_held_karp(some) for some in np.split(points, range(AT_ONCE, len(points), AT_ONCE))])


def _held_karp(points: Array) -> Tours:
    batch, count, _ = points.shape
    between = np.ascontiguousarray(np.moveaxis(distances(points), 0, -1))  # [N, N, B], the batch innermost
    best = np.full((1 << (count - 1), count - 1, batch), np.inf)
    for j in range(count - 1):
        best[1 << j, j] = between[0, j + 1]
    paths, inner = best.reshape(-1, batch), np.ascontiguousarray(between[1:, 1:]).reshape(-1, batch)
    for reached, before, edges in _layers(count - 1):
        through = paths.take(before, axis=0)
        through += inner.take(edges, axis=0)
        paths[reached] = through.min(1)
    return _trace_back(best, between)


@functools.cache
def _layers(count: int) -> list[tuple[Tours, Tours, Tours]]:
    """For subsets of 2, 3, ... of so many points: each path's row S N + j, and the rows and edges before it.

    To S with the end j, [P], come the paths to S without j with the end i, [P, k - 1], by the edges i N + j.
    """
    found = []
    for size in range(2, count + 1):
        members = np.array(list(combinations(range(count), size)))  # [S, k]
        others = members[:, [[i for i in range(size) if i != j] for j in range(size)]]  # [S, k, k - 1]
        subsets, ends = (1 << members).sum(1)[:, None], members
        rest = (subsets ^ (1 << ends))[..., None]
        layer = (subsets * count + ends, rest * count + others, others * count + ends[..., None])
        found.append((layer[0].ravel(), layer[1].reshape(-1, size - 1), layer[2].reshape(-1, size - 1)))
    return found


def _trace_back(best: Array, between: Array) -> Tours:
    """The tours of a whole table, from the last point backwards."""
    _, count, batch = between.shape
    rows = np.arange(batch)
    subset, tours = np.full(batch, best.shape[0] - 1), np.zeros((batch, count), np.int64)
    after = np.zeros(batch, np.int64)
    for place in range(count - 1, 0, -1):
        lengths = best[subset[:, None], np.arange(count - 1), rows[:, None]] + between[1:, after, rows].T
        last = lengths.argmin(1)  # subsets without a point have no path that ends in it: infinity
        tours[:, place], after = last + 1, last + 1
        subset = subset ^ (1 << last)
    return tours


def searched_tours(points: Array, starts: int = 2) -> Tours:
    """Short tours: farthest insertion (Rosenkrantz et al. 1977), then 2-opt and Or-opt until neither gains.

    Args:
        points: float64 [B, N, 2].
        starts: insertion begins at so many points in turn; the shortest tour that results counts.

    Returns:
        int64 [B, N], each from the first point on.
    """
    between, found = distances(points), []
    for start in range(min(starts, points.shape[1])):
        found.append(improved(between, farthest_insertion(between, start)))
    lengths = np.stack([lengths_of(between, tours) for tours in found])
    best = np.stack(found)[lengths.argmin(0), np.arange(len(points))]
    places = (np.arange(best.shape[1]) + (best == 0).argmax(1)[:, None]) % best.shape[1]
    return np.take_along_axis(best, places, 1)


def lengths_of(between: Array, tours: Tours) -> Array:
    """Of closed tours, [B]."""
    return between[np.arange(len(tours))[:, None], tours, np.roll(tours, -1, 1)].sum(1)


def farthest_insertion(between: Array, start: int = 0) -> Tours:
    """Tours that grow by the point farthest from them, put where it lengthens them least.

    Args:
        between: [B, N, N].
        start: the point that they begin with.
    """
    batch, count, _ = between.shape
    rows = np.arange(batch)
    tours = np.full((batch, 1), start)
    away = between[:, start].copy()  # from each point to the tour; below zero for those in it
    away[:, start] = -1
    for _ in range(count - 1):
        new = away.argmax(1)
        after = np.roll(tours, -1, 1)
        r = rows[:, None]
        longer = between[r, tours, new[:, None]] + between[r, new[:, None], after] - between[r, tours, after]
        place = longer.argmin(1)[:, None]  # [B, 1], after which it goes
        order = np.arange(tours.shape[1] + 1)
        taken = np.take_along_axis(tours, np.minimum(order - (order > place), tours.shape[1] - 1), 1)
        tours = np.where(order == place + 1, new[:, None], taken)
        away = np.minimum(away, between[rows, new])
        np.put_along_axis(away, tours, -1, 1)
    return tours


def improved(between: Array, tours: Tours) -> Tours:
    """Tours after 2-opt moves (Croes 1958) and Or-opt moves (Or 1976), the best of each tour at each step.

    2-opt turns a stretch round; Or-opt puts one of up to three points elsewhere, as it is or turned round.
    """
    going = np.arange(len(tours))
    tours = tours.copy()
    while len(going):
        gains, moved = _best_move(between[going], tours[going])
        better = gains > TOLERANCE
        going = going[better]
        tours[going] = moved[better]
    return tours


def _best_move(between: Array, tours: Tours) -> tuple[Array, Tours]:
    """The gain of the best move of each tour, and the tour after it."""
    count = tours.shape[1]
    sources = _moves(count)  # [M, N], the place in the old tour of each place of the new one
    ahead = np.take_along_axis(between, tours[:, :, None], 1)
    ahead = np.take_along_axis(ahead, tours[:, None, :], 2).reshape(len(tours), -1)  # [B, N N], by places
    removed, added = _edges(count)  # [M, 3], pairs of places
    gains = ahead[:, removed].sum(2) - ahead[:, added].sum(2)
    best = gains.argmax(1)
    return gains[np.arange(len(tours)), best], np.take_along_axis(tours, sources[best], 1)


@functools.cache
def _moves(count: int) -> Tours:
    """Every tour that one move makes of 0, 1, ..., count - 1, [M, N]."""
    places, found = list(range(count)), []
    for first in range(count):
        for last in range(first + 1, count):
            found.append(places[:first] + places[first : last + 1][::-1] + places[last + 1 :])
    for size in (1, 2, 3):
        for first in range(count - size + 1):
            part, rest = places[first : first + size], places[:first] + places[first + size :]
            for at in range(1, len(rest) + 1):
                if at != first:
                    found += [rest[:at] + part + rest[at:], rest[:at] + part[::-1] + rest[at:]]
    return np.array(found)


@functools.cache
def _edges(count: int) -> tuple[Tours, Tours]:
    """The edges that each move removes and adds, as pairs of places i N + j, three each: 0, which is none, after."""
    old = _pairs(np.arange(count)[None], count)[0]
    removed, added = [], []
    for new in _pairs(_moves(count), count):
        gone, come = np.setdiff1d(old, new), np.setdiff1d(new, old)
        removed.append(np.pad(gone, (0, 3 - len(gone))))
        added.append(np.pad(come, (0, 3 - len(come))))
    return np.array(removed), np.array(added)


def _pairs(tours: Tours, count: int) -> Tours:
    after = np.roll(tours, -1, 1)
    return np.minimum(tours, after) * count + np.maximum(tours, after)
