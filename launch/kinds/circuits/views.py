"""``lukasa view`` of found programs: registers and memory after each step, and what the step computed.

Dimensions: T steps, M cells, R registers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from lukasa.ground.mistakes import as_user_error
from lukasa.launch.kinds.circuits.evaluation import load_program
from lukasa.launch.kinds.circuits.experiment import CircuitExperiment
from lukasa.launch.kinds.circuits.job import lengths_of
from lukasa.launch.kinds.circuits.pictures import SHOWN
from lukasa.launch.kinds.kind import Views
from lukasa.launch.options.bounds import check_least
from lukasa.launch.runs.directory import Run
from lukasa.launch.views.tracks import rows_track
from lukasa.launch.views.view import Track, View


@dataclass(frozen=True)
class ViewOptions:
    """Write a page to step through a run of the program: the memory, the registers, and what changed.

    Attributes:
        out: file of the page; plots/view.html of the run by default.
        checkpoint: which programs: best, last, or a name.
        start: which start's program, from 0 on; the best by training loss by default.
        length: length of the memory; 6 by default, or the longest of training where that is less.
        seed: seed of that memory.
    """

    out: str | None = None
    checkpoint: str = "best"
    start: int | None = None
    length: int | None = None
    seed: int = 0


def view_program(run: Run, experiment: CircuitExperiment, options: ViewOptions) -> View:
    """Run the program on one memory.

    Raises:
        UserError: there is no such checkpoint or start, or an option cannot be used.
    """
    check_least(options, seed=0)
    runner = load_program(run, experiment, options.checkpoint, options.start)
    length = min(SHOWN, lengths_of(experiment)[1]) if options.length is None else options.length
    with as_user_error():
        left = runner.trace(length, 1, options.seed)
        drawn = runner.task.sample(length, 1, torch.Generator().manual_seed(options.seed))
    # Step 0 is before the first: nothing is written in it, and the registers are those of the beginning.
    memory = np.stack([drawn.memory[0].numpy(), *(after[0] for _, _, _, after in left.trace)])
    registers = np.stack([before[0] for _, _, before, _ in (left.trace[0], *left.trace)])
    changed = np.concatenate([np.zeros((1, memory.shape[1])), memory[1:] != memory[:-1]])
    target, mask = drawn.target[0].numpy(), drawn.mask[0].numpy().astype(bool)
    right = bool((memory[-1] == target)[mask].all())
    cells = [str(cell) for cell in range(memory.shape[1])]
    return View(
        title=f"{experiment.about}: {'right' if right else 'wrong'}",
        subtitle=f"{runner.task.name}: {runner.task.layout} · a memory of length {length} · seed {options.seed}",
        steps=len(memory),
        tracks=[
            _integers("memory", memory, "cell"),
            rows_track("written in this step", changed, cells, (0, 1), "Oranges", "cell"),
            rows_track("wrong so far", (memory != target) & mask, cells, (0, 1), "Reds", "cell"),
            _integers("registers before the step", registers, "register"),
        ],
        texts={"memory": [" ".join(map(str, row.tolist())) for row in memory]},
        notes=[f"in the end the memory should hold {' '.join(map(str, target.tolist()))}, where it is looked at"],
    )


def _integers(name: str, values: np.ndarray, row: str) -> Track:
    rows = [str(place) for place in range(values.shape[1])]
    return Track(name, values, rows, (0.0, max(1.0, float(values.max(initial=0)))), "cividis", row)


VIEWS = Views(ViewOptions, view_program)
"""What a page shows of found programs."""
