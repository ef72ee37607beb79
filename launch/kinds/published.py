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

_COUNTED = (1, 2, 3, 4, 5, 10)

_SHOTS = ((5, 1), (5, 5), (20, 1), (20, 5))

SHOTS: dict[str, dict[str, dict[str, dict[tuple[int, int], float]]]] = {
    "omniglot": {
        "prototypical": {"Snell et al. 2017": dict(zip(_SHOTS, (98.8, 99.7, 96.0, 98.9), strict=True))},
        "matching": {"Vinyals et al. 2016": dict(zip(_SHOTS, (98.1, 98.9, 93.8, 98.5), strict=True))},
        "maml": {"Finn et al. 2017": dict(zip(_SHOTS, (98.7, 99.9, 95.8, 98.9), strict=True))},
        "snail": {"Mishra et al. 2018": dict(zip(_SHOTS, (99.07, 99.78, 97.64, 99.36), strict=True))},
    }
}
"""Percent right by benchmark, as parts of data sets name it, by learner or core, by paper, by ways and shots."""

PRESENTATIONS: dict[str, dict[tuple[str, int], dict[str, dict[int, float]]]] = {
    "omniglot_presentations": {
        ("one-hot", 5): {
            "paper's MANN": dict(zip(_COUNTED, (36.4, 82.8, 91.0, 92.6, 94.9, 98.1), strict=True)),
            "paper's LSTM": dict(zip(_COUNTED, (24.4, 49.5, 55.3, 61.0, 63.6, 62.5), strict=True)),
            "humans": dict(zip(_COUNTED, (34.5, 57.3, 70.1, 71.8, 81.4, 92.4), strict=True)),
        },
        ("string", 5): {
            "paper's MANN": dict(zip(_COUNTED, (0.0, 69.5, 80.4, 87.9, 88.4, 93.1), strict=True)),
            "paper's LSTM": dict(zip(_COUNTED, (0.0, 9.0, 14.2, 16.9, 21.8, 25.5), strict=True)),
        },
        ("string", 15): {
            "paper's MANN": dict(zip(_COUNTED, (0.1, 62.6, 79.3, 86.6, 88.7, 95.3), strict=True)),
            "paper's LSTM": dict(zip(_COUNTED, (0.0, 2.2, 2.9, 4.3, 5.6, 12.7), strict=True)),
        },
    }
}
"""Percent right by benchmark, as tasks name it, by labels and classes of an episode, by model, by presentation: Santoro
et al. 2016, tables 1 and 2."""
