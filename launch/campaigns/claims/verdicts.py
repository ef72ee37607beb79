"""Whether a claim is reached, out of the records of its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, Literal

from lukasa.ground.statistics import Interval, bootstrap_interval
from lukasa.launch.campaigns.claims.claim import Bound, Claim
from lukasa.launch.campaigns.claims.figures_of import look_up
from lukasa.launch.campaigns.records import Folder, Record

Word = Literal["reached", "missed", "begun", "not run"]


@dataclass(frozen=True)
class Found:
    """What came of one bound.

    Attributes:
        bound: what the figure has to be.
        values: the figure by seed, of the seeds that have one.
        early: whether a model was scored before the end of its training.
    """

    bound: Bound
    values: Mapping[int, float]
    early: bool = False

    @property
    def mean(self) -> float | None:
        """Over the seeds."""
        return fmean(self.values.values()) if self.values else None

    @property
    def interval(self) -> Interval | None:
        """The bootstrap interval of the mean over seeds."""
        return bootstrap_interval(list(self.values.values()))

    @property
    def short_by(self) -> float | None:
        """How far the figure is from what it has to be, at most 0 where it is met; None where there is none yet."""
        if not self.values:
            return None
        values = list(self.values.values()) if self.bound.every_seed else [fmean(self.values.values())]
        return max(_short_by(self.bound, value) for value in values)

    @property
    def is_met(self) -> bool:
        """Whether it is what it has to be."""
        return self.short_by is not None and self.short_by <= 0


@dataclass(frozen=True)
class Verdict:
    """What came of a claim.

    Attributes:
        claim: which.
        found: what came of each of its bounds.
        records: of its runs that were begun.
    """

    claim: Claim
    found: Sequence[Found]
    records: Sequence[Record]

    @property
    def word(self) -> Word:
        """Reached, missed; begun, where what was run does not decide; or not run."""
        if not any(found.values for found in self.found):
            return "begun" if self.records else "not run"
        decided = all(record.is_over for record in self.records) and len(self.records) == len(self.claim.jobs())
        if decided:
            return "reached" if all(found.is_met for found in self.found) else "missed"
        return "begun"

    @property
    def told(self) -> str:
        """The verdict in words."""
        short = [one for one in self.found if not one.is_met and one.values]
        missed = "; ".join(f"{one.bound.says} by {digits(one.short_by)}" for one in short)
        if self.word in ("reached", "not run"):
            return self.word
        if self.word == "missed":
            return f"missed: {missed}" if missed else f"missed: {self._without_figure()}"
        over = sum(record.is_over for record in self.records)
        if not any(one.values for one in self.found):
            so_far = "nothing is scored yet"
        elif missed:
            so_far = f"missed so far: {missed}"
        else:
            so_far = "reached so far"
        return f"begun, {over} of {len(self.claim.jobs())} runs done; {so_far}"

    def _without_figure(self) -> str:
        return ", ".join(one.bound.says for one in self.found if not one.values) + " is not among what was scored"


def judge(claim: Claim, folder: Folder) -> Verdict:
    """What came of a claim, out of its records alone.

    Raises:
        UserError: a record is broken, or of a run that was asked for otherwise.
    """
    records = {
        (model.name, seed): folder.record(claim.job(model, seed)) for seed in claim.seeds for model in claim.models
    }
    known = {place: record for place, record in records.items() if record is not None}
    found = [_found(bound, claim.seeds, known) for bound in claim.bounds]
    return Verdict(claim, found, list(known.values()))


def digits(value: float | None) -> str:
    """A figure for people.

    Example:
        >>> digits(133.126), digits(0.00012), digits(12), digits(None)
        ('133', '0.00012', '12', '-')
    """
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{float(f'{value:.3g}'):g}"


def _found(bound: Bound, seeds: Sequence[int], records: Mapping[tuple[str, int], Record]) -> Found:
    values, early = {}, False
    for seed in seeds:
        taken = [records.get((model, seed)) for model in bound.models]
        try:
            value = _figure(taken[0], bound.figure)
            if bound.minus:
                value -= _figure(taken[1], bound.minus[1])
        except KeyError:
            continue
        values[seed] = value
        early = early or any(record is not None and not record.is_over for record in taken)
    return Found(bound, values, early)


def _figure(record: Record | None, path: str) -> float:
    """A figure of a run.

    Raises:
        KeyError: the run has none.
    """
    if record is None or record.evaluation is None:
        raise KeyError(path)
    if path.startswith("training."):
        return look_up({"training": asdict(record)}, path)
    return look_up(record.evaluation, path)


def _short_by(bound: Bound, value: float) -> float:
    above: list[float] = [value - bound.at_most] if bound.at_most is not None else []
    below: list[float] = [bound.at_least - value] if bound.at_least is not None else []
    return max([*above, *below])


def as_json(verdict: Verdict) -> dict[str, Any]:
    """What ``--json`` prints of a verdict."""
    rows = [
        {
            "figure": one.bound.says,
            "mean": one.mean,
            "interval": one.interval,
            "seeds": {str(seed): value for seed, value in one.values.items()},
            "at_least": one.bound.at_least,
            "at_most": one.bound.at_most,
            "met": one.is_met,
        }
        for one in verdict.found
    ]
    return {"claim": verdict.claim.name, "verdict": verdict.word, "told": verdict.told, "figures": rows}
