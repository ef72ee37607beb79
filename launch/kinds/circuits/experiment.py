"""What a run of ``lukasa train circuits`` is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lukasa.launch.kinds.running import ByBatch


@dataclass(frozen=True, kw_only=True)
class CircuitExperiment(ByBatch):
    """Neural Random-Access Machines, the task whose program they look for, and how.

    Attributes:
        task: what the program is to do: access, increment, copy, reverse, swap, permutation, list_k, list_search, merge
            or walk_bst.
        starts: machines that learn side by side, each from weights of its own; the best is chosen by its training loss.
        registers: registers of a machine.
        modules: modules of a machine in order, with commas between them; those of the paper by default. A name may come
            more than once.
        controller: what chooses a step's circuit from which registers are 0.
        hidden: hidden units of the controller.
        shortest: length that the curriculum begins with; the task's own by default.
        longest: length that the curriculum ends with; the task's own by default.
        threshold: error of a start in percent of the cells, below which it goes on to longer memories.
        spare: most cells that a memory has beyond those that are needed, drawn anew for every batch.
        entropy: reward of the entropy of a circuit's choices at first, in nats of cost for each nat.
        entropy_half: examples after which that reward halves.
        noise: standard deviation of the noise that is added to the gradient at first.
        noise_decay: how fast the noise falls: it is divided by the number of batches to the power of half of this.
        step_cost: cost of each step that a machine takes, in nats.
        start_norm: largest norm of the gradient of each start.
        steps: examples that each start trains on.
        stop_at: stop earlier, when the best start's error, as it learns, is at most this many percent of the cells.
        batch_size: examples of one gradient step of each start.
        validate_every: examples after which the next line of metrics says how many starts are exact, run hard.
    """

    task: str = "copy"
    starts: int = 16
    registers: int = 4
    modules: str = ""
    controller: Literal["feedforward", "lstm"] = "feedforward"
    hidden: int = 64
    shortest: int | None = None
    longest: int | None = None
    threshold: float = 5.0
    spare: int = 2
    entropy: float = 0.02
    entropy_half: float = 4800.0
    noise: float = 0.0
    noise_decay: float = 0.55
    step_cost: float = 0.0
    start_norm: float = 1.0
    lr: float = 0.01
    steps: int = 80_000
    batch_size: int = 16
    report_every: int = 1600

    @property
    def about(self) -> str:
        """What is trained on what, for people."""
        return f"machines of {self.registers} registers on {self.task} from {self.starts} starts"

    @property
    def name(self) -> str:
        """What a run of it is called when nobody says."""
        return f"{self.task}-circuits"
