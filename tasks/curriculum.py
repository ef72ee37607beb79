"""Which settings of a task come next: always the same, lesson by lesson, or a level that doubles.

A curriculum is asked for settings before each batch and told the result after it. It is data: all that changes is in
``state_dict()``, a plain dict that JSON can hold, and its random numbers come from the generator passed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Generator

Settings = dict[str, Any]


class Curriculum(Protocol):
    """What a trainer needs of a curriculum."""

    def draw(self, generator: Generator) -> Settings:
        """Settings for the next batch, for the sampler (``dataclasses.replace``)."""
        ...

    def report(self, result: float) -> None:
        """Tell how the batch went that the last ``draw`` gave the settings for."""
        ...

    def extremes(self) -> list[Settings]:
        """Settings that a sampler has to take if it is to take all that may be drawn."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """All that changes; ``history`` lists [batches so far, lesson or level] for plots."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        ...


@dataclass
class _Progress:
    """Where a curriculum stands: the lesson or level, and the results since it began."""

    level: int
    batches: int
    recent: list[float]
    history: list[list[int]]
    counts: bool = True  # whether the batch that was drawn last decides about going on

    def step(self, result: float, window: int) -> bool:
        """Take a result in; whether there are as many as decide."""
        if result != result:
            raise ValueError("curriculum: the result of a batch is not a number, expected a score or a loss")
        self.batches += 1
        if self.counts:
            self.recent = [*self.recent, float(result)][-window:]
        return self.counts and len(self.recent) == window

    def go_on(self, level: int) -> None:
        self.level, self.recent = level, []
        self.history.append([self.batches, level])


class Uniform:
    """The same settings for every batch.

    Args:
        settings: of the task; what is not named stays at its default.
    """

    def __init__(self, settings: Settings | None = None):
        self.settings = dict(settings or {})
        self._progress = _Progress(0, 0, [], [[0, 0]])

    def draw(self, generator: Generator) -> Settings:
        """The settings; takes no random number."""
        return dict(self.settings)

    def report(self, result: float) -> None:
        """Count the batch."""
        self._progress.step(result, 1)

    def extremes(self) -> list[Settings]:
        """The settings."""
        return [dict(self.settings)]

    def state_dict(self) -> dict[str, Any]:
        """How many batches there were."""
        return _state("uniform", self._progress, size=0)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state.

        Raises:
            ValueError: it is that of another curriculum.
        """
        self._progress = _progress("uniform", state, size=0)


class Lessons:
    """One lesson after another, each until it is mastered, with some batches from the lessons before.

    The curriculum of the graph tasks of Graves et al. 2016: the next lesson at 90 % and a tenth of the examples from
    earlier lessons. Only batches of the lesson itself decide; the last lesson never ends.

    Args:
        lessons: settings of the task, the easiest first.
        mastery: mean score of the last batches, in the task's unit, at which the next lesson begins.
        review: share of batches from earlier lessons, each with the same chance; at least 0 and below 1.
        window: how many batches of a lesson its mean is taken over.
        higher_is_better: whether scores above ``mastery`` are better, as accuracies are, or those below.

    Raises:
        ValueError: nobody could follow such a curriculum.

    Example:
        >>> lessons = Lessons([{"max_path": 1}, {"max_path": 2}], mastery=90.0, window=1)
        >>> lessons.report(95.0)
        >>> lessons.lesson
        1
    """

    def __init__(
        self,
        lessons: Sequence[Settings],
        *,
        mastery: float = 90.0,
        review: float = 0.1,
        window: int = 20,
        higher_is_better: bool = True,
    ):
        if not lessons:
            raise ValueError("curriculum: there is no lesson, expected at least one")
        if not 0 <= review < 1:
            raise ValueError(f"curriculum: review is {review!r}, expected a share of at least 0 and below 1")
        if mastery != mastery:
            raise ValueError("curriculum: mastery is not a number, expected a score in the task's unit")
        _check_window(window)
        self.lessons = [dict(lesson) for lesson in lessons]
        self.mastery, self.review, self.window, self.higher_is_better = mastery, review, window, higher_is_better
        self._progress = _Progress(0, 0, [], [[0, 0]])

    @property
    def lesson(self) -> int:
        """The number of the lesson, from 0."""
        return self._progress.level

    def draw(self, generator: Generator) -> Settings:
        """The settings of the lesson, or of one before."""
        reviewed, which = torch.rand(2, generator=generator).tolist()
        back = self.lesson > 0 and reviewed < self.review
        self._progress.counts = not back
        return dict(self.lessons[int(which * self.lesson) if back else self.lesson])

    def report(self, result: float) -> None:
        """Tell the score of the batch, in the task's unit; begin the next lesson where this one is mastered."""
        decides = self._progress.step(result, self.window)
        mean = sum(self._progress.recent) / max(1, len(self._progress.recent))
        mastered = mean >= self.mastery if self.higher_is_better else mean <= self.mastery
        if decides and mastered and self.lesson + 1 < len(self.lessons):
            self._progress.go_on(self.lesson + 1)

    def extremes(self) -> list[Settings]:
        """The settings of every lesson."""
        return [dict(lesson) for lesson in self.lessons]

    def state_dict(self) -> dict[str, Any]:
        """Lesson, results that count so far, and history."""
        return _state("lessons", self._progress, size=len(self.lessons))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state.

        Raises:
            ValueError: it is that of another curriculum.
        """
        self._progress = _progress("lessons", state, size=len(self.lessons))


class Doubling:
    """A level that doubles whenever the loss has stayed low, as in Rae et al. 2016, section 4.3.

    Each batch is of a level drawn uniformly from the lowest to the highest so far. The highest doubles when the mean
    loss of as many batches as ``window`` is below ``threshold``; the paper prints neither number.

    Args:
        names: the settings that are the level: of each batch, all of them equal it.
        start: the highest level at first.
        limit: the highest level at all.
        threshold: loss, in the unit that is reported, below which the level doubles.
        lowest: level of the easiest batch.
        window: how many batches the mean is taken over.
        settings: further settings of the task, the same for every batch.

    Raises:
        ValueError: nobody could follow such a curriculum.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        start: int,
        limit: int,
        threshold: float,
        lowest: int = 1,
        window: int = 100,
        settings: Settings | None = None,
    ):
        if isinstance(names, str) or not names:
            raise ValueError(f"curriculum: names is {names!r}, expected a list of settings such as ['max_length']")
        if not 1 <= lowest <= start <= limit:
            raise ValueError(
                f"curriculum: levels lowest {lowest}, start {start}, limit {limit}: expected them in this order, from 1"
            )
        if not threshold > 0:
            raise ValueError(f"curriculum: threshold is {threshold!r}, expected a loss above 0")
        if twice := set(names) & set(settings or {}):
            raise ValueError(f"curriculum: {', '.join(sorted(twice))} is both a level and a fixed setting: drop one")
        _check_window(window)
        self.names, self.limit, self.threshold, self.lowest = tuple(names), limit, threshold, lowest
        self.window, self.settings = window, dict(settings or {})
        self._progress = _Progress(start, 0, [], [[0, start]])

    @property
    def level(self) -> int:
        """The highest level so far."""
        return self._progress.level

    def draw(self, generator: Generator) -> Settings:
        """Settings of a level from the lowest to the highest so far."""
        level = int(torch.randint(self.lowest, self.level + 1, (), generator=generator))
        return {**self.settings, **dict.fromkeys(self.names, level)}

    def report(self, result: float) -> None:
        """Tell the batch's loss; double the level where the last ones were low."""
        decides = self._progress.step(result, self.window)
        low = sum(self._progress.recent) < self.threshold * self.window
        if decides and low and self.level < self.limit:
            self._progress.go_on(min(2 * self.level, self.limit))

    def extremes(self) -> list[Settings]:
        """The settings of the lowest level and of the limit."""
        return [{**self.settings, **dict.fromkeys(self.names, level)} for level in (self.lowest, self.limit)]

    def state_dict(self) -> dict[str, Any]:
        """Level, losses that count so far, and history."""
        return _state("doubling", self._progress, size=self.limit)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state.

        Raises:
            ValueError: it is that of another curriculum.
        """
        self._progress = _progress("doubling", state, size=self.limit)


def _check_window(window: int) -> None:
    if isinstance(window, bool) or not isinstance(window, int) or window < 1:
        raise ValueError(f"curriculum: window is {window!r}, expected a whole number of batches of at least 1")


def _state(kind: str, progress: _Progress, *, size: int) -> dict[str, Any]:
    return {
        "kind": kind,
        "size": size,
        "level": progress.level,
        "batches": progress.batches,
        "recent": list(progress.recent),
        "history": [list(entry) for entry in progress.history],
        "counts": progress.counts,
    }


def _progress(kind: str, state: dict[str, Any], *, size: int) -> _Progress:
    found = (state.get("kind"), state.get("size"))
    if found != (kind, size):
        raise ValueError(
            f"curriculum: the state is of a {found[0]} curriculum of size {found[1]}, expected {kind} of size {size}"
        )
    return _Progress(
        level=int(state["level"]),
        batches=int(state["batches"]),
        recent=[float(result) for result in state["recent"]],
        history=[[int(number) for number in entry] for entry in state["history"]],
        counts=bool(state["counts"]),
    )
