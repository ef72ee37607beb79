"""``lukasa train --seeds``: one experiment with several seeds, each trained in a process of its own."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from lukasa.ground.mistakes import UserError
from lukasa.launch.comparing.scores import describe_scores, is_finished
from lukasa.launch.comparing.several_seeds import SeveralSeeds, counted_seeds, create_several, is_several, open_several
from lukasa.launch.kinds.kind import Kind, option_name
from lukasa.launch.options.bounds import check_least
from lukasa.launch.options.program import command
from lukasa.launch.ray.placement import OnRay, Placement, own_bundles
from lukasa.launch.runs.directory import Run, locked, read_metrics
from lukasa.launch.runs.own_processes import STOPPED_CODES, start_own
from lukasa.launch.runs.stopping import Wish, stop_on_signals
from lukasa.launch.runs.trackers import track
from lukasa.launch.training import beginning
from lukasa.launch.training.requests import Request

LOOK_SECONDS = 0.1
"""Between two looks at the processes that train."""
END_SECONDS = 10.0
"""How long a process may take to end at once before it is killed."""


def train_seeds(kind: Kind[Any], request: Request[Any]) -> int:
    """Train all seeds that are not finished; returns the exit code, 1 where a seed failed.

    Args:
        kind: of training.
        request: with its seeds.
    """
    seeds = list(request.seeds or ())
    check_least(request, concurrent=1)
    if request.resume:
        beginning.check_unchanged(kind, open_several(beginning.out_of(request)).runs()[0], request.experiment)
    with ExitStack() as stack:
        way = None
        if request.placement:
            request, _ = beginning.place(kind, request, request.placement, stack)
            way = kind.on_ray() if kind.on_ray else None
        else:
            kind.check(beginning.as_it_begins(kind.experiments, request))
        at_once = _at_once(request.experiment, way, request.placement, request.concurrent)
    several = _on_disk(kind, request, seeds)
    for run, _ in several.runs():
        track(run.path, request.track)
    with locked(Run(several.path)):
        waiting = [seed for seed in several.folders if not _is_finished(several, kind, seed, request.experiment)]
        skipped = [seed for seed in several.folders if seed not in waiting]
        plan = _plan(several, skipped, min(at_once, len(waiting)))
        config = several.runs()[0][1]
        told = beginning.announce(kind.experiments, Run(several.path), config, request.experiment, seeds=plan)
        print(told, file=sys.stderr, flush=True)
        words = _changed(kind, several, request.experiment)
        with stop_on_signals("iteration of every seed") as stop:
            processes = _Processes(several, request.placement, words, request.experiment.threads)
            processes.run(waiting, at_once, stop)
    return _conclude(kind, several, request.placement, processes.failures, stop)


class _Processes:
    """The processes that train seeds, and what became of them.

    Attributes:
        failures: what went wrong, by seed.
    """

    def __init__(self, several: SeveralSeeds, placement: Placement | None, words: Sequence[str], threads: int):
        self._several, self._placement, self._words, self._threads = several, placement, words, threads
        self._running: dict[int, subprocess.Popen[str]] = {}
        self._readers: dict[int, list[threading.Thread]] = {}
        self._last: dict[int, str] = {}
        self.failures: dict[int, str] = {}

    def run(self, seeds: Sequence[int], at_once: int, stop: Wish) -> None:
        """Train seeds, so many at once, until they have ended or the user stops; all that run then save first."""
        waiting, told = list(seeds), False
        with self._ended_at_last():
            while self._running or (waiting and stop.signal is None):
                while waiting and len(self._running) < at_once and stop.signal is None:
                    self._start(waiting.pop(0))
                if stop.signal is not None and not told:
                    self._signal_all()
                    told = True
                self._look()
                time.sleep(LOOK_SECONDS)

    def _start(self, seed: int) -> None:
        run = self._several.run(seed)
        where = self._placement.words() if self._placement else ()
        words = ["train", self._several.kind, "--out", str(run.path), "--resume", *where, *self._words]
        process = start_own(words, out=subprocess.PIPE, err=subprocess.PIPE, threads=self._threads)
        self._running[seed] = process
        streams = ((process.stdout, sys.stdout), (process.stderr, sys.stderr))
        self._readers[seed] = [threading.Thread(target=self._tell, args=(seed, *pair), daemon=True) for pair in streams]
        for reader in self._readers[seed]:
            reader.start()

    def _tell(self, seed: int, lines: Any, out: Any) -> None:
        """Pass on what a process prints, with its seed."""
        for line in lines:
            if text := line.rstrip():
                print(f"seed {seed}: {text}", file=out, flush=True)
                self._last[seed] = text if out is sys.stderr else self._last.get(seed, "")

    def _look(self) -> None:
        for seed, process in list(self._running.items()):
            code = process.poll()
            if code is None:
                continue
            for reader in self._readers.pop(seed):
                reader.join(END_SECONDS)
            del self._running[seed]
            if code and code not in STOPPED_CODES:
                self.failures[seed] = self._last.get(seed, "").removeprefix("lukasa: ") or f"exit code {code}"

    def _signal_all(self) -> None:
        for process in self._running.values():
            process.terminate()

    @contextmanager
    def _ended_at_last(self) -> Iterator[None]:
        """Leave no process behind, however this one ends."""
        try:
            yield
        finally:
            for process in self._running.values():
                process.send_signal(2)  # the second one: they end without saving
            for process in self._running.values():
                try:
                    process.wait(END_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()


def _at_once(experiment: Any, way: OnRay[Any] | None, placement: Placement | None, concurrent: int | None) -> int:
    """How many seeds may train at a time: what the machine or the cluster has room for, or what the user said."""
    alone = int(sum(bundle["CPU"] for bundle in own_bundles(experiment)))
    here = max(1, len(os.sched_getaffinity(0)) // max(1, alone))
    if way is None or placement is None:
        on_gpu = getattr(experiment, "device", "cpu") == "cuda"
        return concurrent or (1 if on_gpu else here)
    from lukasa.launch.ray.session import room

    asked = way.bundles(experiment, placement)
    learns_here = hasattr(experiment, "learners") and not experiment.learners
    driver = [{"CPU": float(experiment.threads)}] if learns_here else []
    if not placement.address:
        fits = room([*asked, *driver])
    else:
        fits = room(asked)
        if driver:
            fits = min(fits, max(1, len(os.sched_getaffinity(0)) // experiment.threads))
    return min(fits, concurrent or fits)


def _on_disk(kind: Kind[Any], request: Request[Any], seeds: Sequence[int]) -> SeveralSeeds:
    """The experiment with all its seeds: a new one, or one that exists with seeds that it had not."""
    path = beginning.out_of(request)
    if not request.resume and is_several(path):
        raise UserError(f"experiment {path} exists: add --resume to continue it, or choose another --out")
    there = open_several(path).folders if request.resume else ()
    asked = {seed: dataclasses.replace(request.experiment, seed=seed) for seed in seeds if seed not in there}
    configs = {seed: beginning.config_of(kind, request.recipe, experiment) for seed, experiment in asked.items()}
    return create_several(path, kind.name, configs) if configs else open_several(path)


def _is_finished(several: SeveralSeeds, kind: Kind[Any], seed: int, asked: Any) -> bool:
    run, subject = several.run(seed), kind.subject(asked)
    return is_finished(run, read_metrics(run), subject.score_key, asked.steps, asked.stop_at, subject.higher_is_better)


def _changed(kind: Kind[Any], several: SeveralSeeds, asked: Any) -> list[str]:
    """The options that ask for what differs from what was written, such as more steps."""
    saved = kind.experiments.from_json(several.runs()[0][1]["experiment"])
    words = []
    for name in kind.experiments.changeable:
        if getattr(saved, name) != getattr(asked, name):
            words += [option_name(name), str(getattr(asked, name))]
    return words


def _plan(several: SeveralSeeds, finished: Sequence[int], at_once: int) -> str:
    done = f", {counted_seeds(finished)} finished already" if finished else ""
    pace = f", {at_once} at a time" if at_once > 1 else ", one after the other" if at_once else ""
    return f"{counted_seeds(list(several.folders))}{done}{pace}"


def _conclude(
    kind: Kind[Any],
    several: SeveralSeeds,
    placement: Placement | None,
    failures: Mapping[int, str],
    stop: Wish,
) -> int:
    onward = beginning.resume_command(kind, Run(several.path), placement)
    if stop.signal is not None:
        print(f"stopped; continue all seeds with\n  {onward}", file=sys.stderr)
        return 128 + stop.signal
    print(describe_scores(several))
    if failures:
        told = "; ".join(f"seed {seed}: {what}" for seed, what in failures.items())
        print(
            f"lukasa: {len(failures)} of {len(several.folders)} seeds failed ({told}); the others are whole; "
            f"try again what failed with\n  {onward}",
            file=sys.stderr,
        )
        return 1
    print(f"see it with\n  {command('eval', several.path)}\n  {command('plot', several.path)}")
    return 0
