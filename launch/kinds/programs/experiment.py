"""What a run of ``lukasa train programs`` is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lukasa.launch.kinds.running import ByBatch


@dataclass(frozen=True, kw_only=True)
class ProgramExperiment(ByBatch):
    """A core, the tasks whose programs it learns from execution traces, and how.

    Attributes:
        tasks: what it learns to carry out, such as addition,bubble_sort; lukasa list programs names them all. Your own
            goes by package.module:NAME.
        known: tasks that the core of --start-from has learned already. It is frozen, and only the programs that it does
            not know yet are taught: their embeddings, and the keys by which they find programs.
        form: how the programs repeat, by loops or by recursion; only recursion can be verified, on finitely many cases.
        base: number of different digits; the numbers of an array are below it.
        longest: digits or numbers of the longest problem that is trained on.
        size: units of each LSTM layer.
        layers: number of layers of the LSTM.
        encoding: width of the encoding of what is seen.
        program_size: width of a program's embedding.
        key_size: width of a program's key.
        balance: what counts alike in the loss, each program or each step of the traces.
        steps: traces to train on.
        stop_at: stop earlier, when the percentage of traces that are right in every step is at least this good.
        batch_size: traces of one gradient step.
        validate_every: traces after which the next line of metrics has the percentage of unseen problems of twice that
            length that the core carries out; never by default.
    """

    tasks: str = "addition"
    known: str = ""
    form: Literal["loops", "recursive"] = "loops"
    base: int = 10
    longest: int = 20
    size: int = 256
    layers: int = 2
    encoding: int = 128
    program_size: int = 256
    key_size: int = 32
    balance: Literal["programs", "steps"] = "programs"
    steps: int = 20_000
    batch_size: int = 8
    report_every: int = 400

    @property
    def about(self) -> str:
        """What is trained on what, for people."""
        frozen = f" on a frozen core that knows {self.known}" if self.known else ""
        return f"programs of {self.tasks} ({self.form}), up to length {self.longest}{frozen}"

    @property
    def name(self) -> str:
        """What a run of it is called when nobody says."""
        return f"{self.tasks.replace(',', '-').replace(':', '-').replace(' ', '')}-{self.form}"
