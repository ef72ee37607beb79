"""What runs are compared on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Subject:
    """What runs are compared on.

    Attributes:
        name: of the environment or task.
        plural: "environments" or "tasks".
        unit: of the score.
        counted: what the steps are.
        score_key: key of the score in the metrics.
        spread_key: key of its standard deviation; empty where there is none.
        learner: the core or the learner of episodes, which tells one run from another.
        chance: score of a guess, None when it is not known.
        best: the best score there is, None when it is not known.
        published: score that a paper reports, None when it is not known or for other settings.
        averaged: over what each score in the metrics is the mean, such as ", last 100 episodes".
        stage: what a curriculum's levels are called: "lesson", numbered from 0 in the metrics and from 1 for people, or
            "level".
        higher_is_better: whether a higher score is a better one.
    """

    name: str
    plural: str
    unit: str
    counted: str
    score_key: str
    spread_key: str = ""
    learner: str = ""
    chance: float | None = None
    best: float | None = None
    published: float | None = None
    averaged: str = ""
    stage: str = "lesson"
    higher_is_better: bool = True
