"""Whether a core is right on every input there is, shown case by case (Cai, Shin and Song 2017, section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from lukasa.agents.programs.batches import tables
from lukasa.agents.programs.learner import frame_losses
from lukasa.memory.programs import NPI
from lukasa.tasks.programs import Call, Frame, Scene, written_seen

RETURN = "return"


@dataclass(frozen=True)
class Failure:
    """The first case in which a core is wrong.

    Attributes:
        program: that runs.
        step: which of its steps, from 1 on.
        seen: what it saw up to there.
        expected: what is right.
        found: what the core does.
        problem: one that has the case.
    """

    program: str
    step: int
    seen: str
    expected: str
    found: str
    problem: str

    def __str__(self) -> str:
        return (
            f"{self.program}, step {self.step}, having seen {self.seen}: expected {self.expected}, found {self.found} "
            f"(as in {self.problem})"
        )


@dataclass(frozen=True)
class Verified:
    """What became of all cases.

    Attributes:
        cases: how many there are.
        failed: in how many the core is wrong.
        first: the first of those.
    """

    cases: int
    failed: int
    first: Failure | None

    def __str__(self) -> str:
        if not self.failed:
            return f"verified: all {self.cases:,} cases"
        return f"not verified: {self.failed:,} of {self.cases:,} cases are wrong; first {self.first}"


@torch.no_grad()
def verify(core: NPI, scene: Scene, cases: Mapping[Frame, str]) -> Verified:
    """Run a core on every case.

    Args:
        core: trained.
        scene: the environment.
        cases: every frame that the recursive programs can have, with a problem that has it.
    """
    core.eval()
    listed = list(cases)
    wrong: list[int] = []
    for table in tables(core, listed):
        _, right = frame_losses(core, table)
        wrong += [table.places[place] for place in (~right).nonzero().squeeze(1).tolist()]
    if not wrong:
        return Verified(len(listed), 0, None)
    frame = listed[min(wrong)]
    return Verified(len(listed), len(wrong), first_failure(core, scene, frame, cases[frame]))


def first_failure(core: NPI, scene: Scene, frame: Frame, problem: str) -> Failure | None:
    """Where a core goes wrong in a frame; None where it does not.

    Args:
        core: trained.
        scene: the environment.
        frame: that it is run on.
        problem: that has it.
    """
    table = next(iter(tables(core, [frame])))
    device = core.end.weight.device
    with torch.no_grad():
        output, _ = core(frame.scene, table.programs.to(device), table.arguments.to(device), table.seen.to(device))
    for step, expected in enumerate(frame.calls):
        ends, program = bool(output.end[0, step] > 0), int(output.programs[0, step].argmax())
        first, second, third = output.arguments[0, step].argmax(-1).tolist()
        found = None if ends else Call(core.programs[program], (first, second, third))
        if found != expected:
            seen = ", then ".join(map(written_seen, frame.seen[: step + 1]))
            right, said = (scene.spell(call) if call else RETURN for call in (expected, found))
            return Failure(frame.program, step + 1, seen, right, said, problem)
    return None
