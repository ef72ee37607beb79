"""``lukasa train``: trains, or continues training, whatever the kind."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from lukasa.launch.kinds.kind import Kind
from lukasa.launch.kinds.table import kind_of
from lukasa.launch.options.program import command
from lukasa.launch.runs.directory import Run, locked
from lukasa.launch.runs.endings import Outcome, Resume
from lukasa.launch.runs.failures import gone_unless_begun, in_one_sentence
from lukasa.launch.runs.storage import synced
from lukasa.launch.runs.trackers import track
from lukasa.launch.training.asking import words_or_questions
from lukasa.launch.training.beginning import (
    announce,
    as_it_begins,
    is_part_of_several,
    load_checkpoint_to_resume,
    new_run,
    place,
    resume_command,
    run_to_resume,
)
from lukasa.launch.training.requests import kind_for, read_request


def main(argv: Sequence[str]) -> int:
    """Train, or continue training; returns the exit code.

    Args:
        argv: the words after ``lukasa train``, the kind first.
    """
    kind = kind_for(kind_of(argv[0]), argv[1:])
    return train_command(kind, words_or_questions(kind.experiments, argv[1:]))


def train_command(kind: Kind[Any], argv: Sequence[str]) -> int:
    """Train, or continue training; returns the exit code.

    Args:
        kind: of training.
        argv: the words after it.
    """
    request = read_request(kind.experiments, argv)
    if not request.resume:
        kind.experiments.check_together(request.experiment)
    if request.seeds is not None:
        from lukasa.launch.training.seeds import train_seeds  # loads NumPy

        return train_seeds(kind, request)
    alone = not is_part_of_several()
    with ExitStack() as stack:
        if request.placement:
            request, train = place(kind, request, request.placement, stack)
        else:
            kind.check(as_it_begins(kind.experiments, request))
            train = _here(kind)
        run, config = run_to_resume(kind, request) if request.resume else new_run(kind, request)
        stack.enter_context(locked(run))  # before the next line: a run that another process took is not ours to remove
        if not request.resume:
            stack.enter_context(gone_unless_begun(run))
        track(run.path, request.track)
        if request.sync:
            stack.enter_context(synced(run.path, request.sync))
        resume = load_checkpoint_to_resume(kind, run, request) if request.resume else None
        if alone:
            done = resume[0].step if resume else 0
            print(announce(kind.experiments, run, config, request.experiment, done), file=sys.stderr)
        with in_one_sentence(run, is_new=not request.resume):
            outcome = train(run, request.experiment, resume)
    if outcome.signal is not None:
        onward = resume_command(kind, run, request.placement, request.sync)
        how = f"; continue with\n  {onward}" if alone else ""
        print(f"stopped at {outcome.steps:,} {outcome.counted}{how}", file=sys.stderr)
        return 128 + outcome.signal
    print(outcome.summary())
    if outcome.report:
        print(outcome.report)
    if alone:
        print(f"see it with\n  {command('eval', run.path)}\n  {command('plot', run.path)}")
    return 0


def _here(kind: Kind[Any]) -> Callable[[Run, Any, Resume | None], Outcome]:
    def train(run: Run, experiment: Any, resume: Resume | None) -> Outcome:
        return kind.train(run, experiment, resume, None)

    return train
