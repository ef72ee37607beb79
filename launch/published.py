"""Scores that papers report, in the task's unit, for the task's own settings."""

from __future__ import annotations

PUBLISHED: dict[tuple[str, str], float] = {
    ("copy", "ntm"): 0.1,
    ("copy", "lstm"): 0.5,
    ("associative_recall", "ntm"): 0.0,
    ("ngrams", "ntm"): 133.75,
    ("ngrams", "lstm"): 136.0,
    ("priority_sort", "ntm"): 18.0,
    ("priority_sort", "lstm"): 58.0,
    ("london_traversal", "dnc"): 98.8,
    ("london_shortest_path", "dnc"): 55.3,
    ("family_inference", "dnc"): 81.8,
    ("babi", "dnc"): 16.7,
}
"""By task and core. Those of Graves et al. 2014 are read off its learning curves, and good to a tenth of the axis;
those of Graves et al. 2016 are of networks that were trained on random graphs, and of the mean of 20 runs for bAbI."""
