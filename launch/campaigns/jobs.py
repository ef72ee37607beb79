"""Runs that are trained and scored by the commands of everybody, so many at a time, until they or the time end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import IO

from lukasa.ground.mistakes import UserError
from lukasa.launch.campaigns.job import Job
from lukasa.launch.campaigns.records import Folder, Record, look_at_run
from lukasa.launch.runs.directory import Run, locked
from lukasa.launch.runs.own_processes import STOPPED_CODES, start_own
from lukasa.launch.runs.stopping import Wish, stop_on_signals

LOOK_SECONDS = 0.2
"""Between two looks at the processes."""
END_SECONDS = 60.0
"""How long a process may take to save and end before it is killed."""


def run_campaign(
    folder: Folder,
    jobs: Sequence[Job],
    *,
    at_once: int | None = None,
    minutes: float | None = None,
    where: Sequence[str] = (),
) -> int:
    """Run jobs as ``run_jobs`` does, with the folder held by this process.

    Args:
        folder: of the campaign.
        jobs: all of it.
        at_once: how many train at a time; as many as there are CPUs when None.
        minutes: how long to train; without end when None.
        where: further words for every ``lukasa train``.

    Returns:
        The exit code: 0; 1 where a run failed; 130 and 143 stopped by SIGINT and SIGTERM.

    Raises:
        UserError: another process holds the folder, or it cannot be written.
    """
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {folder.path} cannot be written: {error.strerror}") from None
    at_once = at_once or len(os.sched_getaffinity(0))
    with locked(Run(folder.path)), stop_on_signals("run") as stop:
        failed = run_jobs(folder, jobs, stop, at_once=at_once, minutes=minutes, where=where)
    return 128 + stop.signal if stop.signal is not None else int(bool(failed))


def run_jobs(
    folder: Folder,
    jobs: Sequence[Job],
    stop: Wish,
    *,
    at_once: int = 1,
    minutes: float | None = None,
    where: Sequence[str] = (),
) -> list[str]:
    """Train and score what is not finished, in order; returns when all is done, the time is over, or the user stops.

    A job that was interrupted goes on from its last checkpoint. When the time is over, what still trains saves, and is
    scored as far as it came.

    Args:
        folder: of the campaign.
        jobs: all of it; what a job starts from comes before it.
        stop: the user's wish; what trains saves, and is not scored.
        at_once: how many train at a time.
        minutes: how long to train; without end when None.
        where: further words for every ``lukasa train``, which say where it runs.

    Returns:
        The names of the jobs that failed.

    Raises:
        UserError: a record is broken or of another job, or something cannot be written.
    """
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    records = {job.name: folder.record(job) or Record(job.name, job.asked) for job in jobs}
    waiting = [job for job in jobs if not records[job.name].is_over]
    workers: list[_Worker] = []
    try:
        while workers or waiting:
            over = stop.signal is not None or (deadline is not None and time.monotonic() > deadline)
            for worker in workers if over else ():
                worker.end(score=stop.signal is None)
            workers = [worker for worker in workers if not worker.is_done()]
            job = None if over or len(workers) >= at_once else _next(waiting, workers, records)
            if job is not None:
                waiting.remove(job)
                workers.append(_Worker(folder, job, records, where))
            elif not workers:
                break  # the time is over, or what waits begins with a run that failed
            else:
                time.sleep(LOOK_SECONDS)
    finally:
        for worker in workers:
            worker.kill()
    return [name for name, record in records.items() if record.failure]


def _next(waiting: Sequence[Job], workers: Sequence[_Worker], records: Mapping[str, Record]) -> Job | None:
    """The first job that can begin: what it starts from, if anything, is trained."""
    busy = {worker.job.name for worker in workers}
    for job in waiting:
        before = records.get(job.start_from or "")
        if before is None or (before.finished and before.name not in busy):
            return job
    return None


class _Worker:
    """One job at work: its training, and then its evaluation, in processes of their own.

    Args:
        folder: of the campaign.
        job: what to do.
        records: what every job came to; that of this one is kept up to date.
        where: further words for ``lukasa train``.
    """

    def __init__(self, folder: Folder, job: Job, records: dict[str, Record], where: Sequence[str]):
        self.job, self._folder, self._records, self._run = job, folder, records, folder.run(job.name)
        self._answer: IO[str] | None = None
        self._ending, self._score_at_end = False, True
        try:
            self._run.parent.mkdir(parents=True, exist_ok=True)
            self._log = open(folder.log(job.name), "a+", errors="replace")  # noqa: SIM115 - open while it works
        except OSError as error:
            raise UserError(f"--out {folder.path} cannot be written: {error.strerror}") from None
        begun = (self._run / "config.json").is_file()
        if begun:
            self._note(look_at_run(self._run, self._record))
        if self._record.finished:
            self._process = self._score()
            return
        said = f", from {self._record.steps:,} {self._record.counted} on" if self._record.steps else ""
        _say(f"{job.name}: trains{said}")
        if not begun:  # what a process that was killed had made of it holds nothing, and would be in the way
            shutil.rmtree(self._run, ignore_errors=True)
        words = ["--resume"] if begun else self._first_words()
        self._process = self._start(["train", job.train[0], *words, "--out", str(self._run), *where], self._log)

    def is_done(self) -> bool:
        """Whether the job has ended; begins its evaluation when training has."""
        code = self._process.poll()
        if code is None:
            return False
        if self._answer is not None:
            self._keep_score(code, self._answer)
            return True
        failed = code and code not in STOPPED_CODES
        if (self._run / "config.json").is_file():
            self._note(look_at_run(self._run, self._record))
        self._note(replace(self._record, failure=self._last_words() if failed else ""))
        if failed or not self._score_at_end or not self._record.steps:
            self._close(self._record.failure or f"stopped at {self._record.steps:,} {self._record.counted}")
            return True
        self._process = self._score()
        return False

    def end(self, *, score: bool) -> None:
        """Let training save and end; what is being scored is scored to its end unless the user stops."""
        scoring = self._answer is not None
        if not self._ending and not (scoring and score):
            self._ending, self._score_at_end = True, score
            self._process.terminate()

    def kill(self) -> None:
        """Leave no process behind."""
        self._process.terminate()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        for file in (self._log, self._answer):
            if file is not None:
                file.close()

    @property
    def _record(self) -> Record:
        return self._records[self.job.name]

    def _note(self, record: Record) -> None:
        self._records[self.job.name] = record
        self._folder.write(self.job, record)

    def _first_words(self) -> list[str]:
        words = [*self.job.train[1:], "--seed", str(self.job.seed)]
        return words + (["--start-from", str(self._folder.run(self.job.start_from))] if self.job.start_from else [])

    def _score(self) -> subprocess.Popen[str]:
        self._answer = open(self._folder.run(self.job.name + ".eval.json"), "w+")  # noqa: SIM115 - read by _keep_score
        return self._start(["eval", str(self._run), *self.job.evaluate, "--json"], self._answer)

    def _start(self, words: Sequence[str], out: IO[str]) -> subprocess.Popen[str]:
        return start_own(words, out=out, err=self._log)

    def _keep_score(self, code: int, answer: IO[str]) -> None:
        answer.seek(0)
        lines = answer.read().strip().splitlines()
        answer.close()
        if code == 0 and lines:
            evaluation = json.loads(lines[-1])
            evaluation.pop("run", None)  # where it was, on this machine: a record outlives its run
            self._note(replace(self._record, evaluation=evaluation, steps_scored=self._record.steps, failure=""))
        elif code not in STOPPED_CODES:
            self._note(replace(self._record, failure=self._last_words()))
        how = "done" if self._record.finished else "scored, but not trained to its end"
        self._close(self._record.failure or f"{how}, {self._record.steps:,} {self._record.counted}")

    def _last_words(self) -> str:
        self._log.seek(0)
        lines = [line for line in self._log.read().splitlines() if line.strip()]
        return lines[-1].removeprefix("lukasa: ") if lines else "it failed without a word"

    def _close(self, told: str) -> None:
        _say(f"{self.job.name}: {told}")
        self._log.close()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
