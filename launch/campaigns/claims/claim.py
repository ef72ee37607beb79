"""A claim of a paper as data: what is trained, how it is scored, and what the score has to be."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field, replace

from lukasa.launch.campaigns.job import Job


@dataclass(frozen=True)
class Trained:
    """One model of a claim.

    Attributes:
        name: within the claim, such as "ntm".
        train: what follows ``lukasa train``.
        evaluate: what follows ``lukasa eval RUN``.
        start_from: the model of the claim whose weights it begins with.
    """

    name: str
    train: str
    evaluate: str = ""
    start_from: str | None = None


@dataclass(frozen=True)
class Bound:
    """What one figure has to be.

    Attributes:
        says: what the figure is, with its unit.
        model: of the claim, whose figure it is.
        figure: where it is: a path, as ``figures_of.look_up`` has it, into what ``lukasa eval --json`` prints; one that
            begins with "training." is of the training: "steps", "seconds", "best" and "last", the last line of metrics.
        at_least: the least that is enough.
        at_most: the most that is allowed.
        minus: a model and a path, whose figure of the same seed is subtracted.
        every_seed: whether each seed has to meet it; by default their mean.
        paper: what the paper has, for people.
    """

    says: str
    model: str
    figure: str
    at_least: float | None = None
    at_most: float | None = None
    minus: tuple[str, str] | None = None
    every_seed: bool = False
    paper: str = ""

    @property
    def models(self) -> tuple[str, ...]:
        """The models that it takes."""
        return (self.model, *((self.minus[0],) if self.minus else ()))


@dataclass(frozen=True)
class Quick:
    """A smaller form of a claim, for minutes: one seed, and fewer steps or models.

    Attributes:
        minutes: of training on one core.
        says: how it differs.
        models: what is trained; the claim's own when None.
        bounds: what it has to come to; the claim's own when None.
    """

    minutes: float
    says: str = "one seed"
    models: tuple[Trained, ...] | None = None
    bounds: tuple[Bound, ...] | None = None


@dataclass(frozen=True)
class Claim:
    """A claim, and what it takes to judge it.

    Attributes:
        name: of its page, and on the command line.
        paper: whose it is.
        statement: one sentence.
        models: what is trained.
        bounds: all of them have to be met.
        seeds: of every model.
        minutes: of training on one core, all seeds together.
        needs_data: whether it reads real files, of the folder $LUKASA_DATA.
        quick: a smaller form.
        note: what a reader should know.
    """

    name: str
    paper: str
    statement: str
    models: tuple[Trained, ...]
    bounds: tuple[Bound, ...]
    seeds: tuple[int, ...] = (0, 1, 2)
    minutes: float = 0.0
    needs_data: bool = False
    quick: Quick | None = field(default=None, compare=False)
    note: str = ""

    def jobs(self) -> list[Job]:
        """Its runs, seed by seed."""
        return [self.job(model, seed) for seed in self.seeds for model in self.models]

    def job(self, model: Trained, seed: int) -> Job:
        """The run of one model and seed."""
        before = None if model.start_from is None else self._name(model.start_from, seed)
        words, scored = tuple(shlex.split(model.train)), tuple(shlex.split(model.evaluate))
        return Job(self._name(model.name, seed), words, scored, seed, before)

    def _name(self, model: str, seed: int) -> str:
        return f"{self.name}.{model}.{seed}"


def quick_form(claim: Claim) -> Claim:
    """The smaller form of a claim that has one."""
    assert claim.quick is not None
    quick = claim.quick
    note = f"Quick form: {quick.says}. {claim.note}".strip()
    return replace(
        claim,
        models=quick.models or claim.models,
        bounds=quick.bounds or claim.bounds,
        minutes=quick.minutes,
        seeds=(0,),
        quick=None,
        note=note,
    )
