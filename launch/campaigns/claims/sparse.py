"""What Sparse Access Memory promises."""

from __future__ import annotations

from lukasa.launch.campaigns.claims.claim import Bound, Claim, Trained

RAE = "Rae et al. 2016, Scaling memory-augmented neural networks with sparse reads and writes"

LEARNING = (
    "--memory.slots 64 --memory.word-size 32 --memory.controller lstm --memory.controller-size 100 --optimizer adam "
    "--lr 1e-3 --schedule cosine --final-lr 0.01 --clip-norm 10 --batch-size 8"
)
"""The same for all three cores."""


def _beside(task: str) -> tuple[Trained, ...]:
    """SAM, DAM and the NTM with equal settings, four heads each."""
    heads = {"ntm": "--memory.read-heads 4 --memory.write-heads 4"}
    return tuple(
        Trained(
            core,
            f"task --task {task} --core {core} {LEARNING} {heads.get(core, '--memory.heads 4')}",
            "--sequences 500",
        )
        for core in ("sam", "dam", "ntm")
    )


def _at_least_as_well(name: str, what: str, task: str, level: float, minutes: float) -> Claim:
    return Claim(
        f"sam_{name}",
        RAE,
        f"SAM learns {what} at least as well as a dense memory that addresses alike (DAM), and as the NTM.",
        _beside(task),
        (
            Bound("bits more than DAM", "sam", "score", at_most=level, minus=("dam", "score")),
            Bound("bits more than the NTM", "sam", "score", at_most=level, minus=("ntm", "score")),
        ),
        minutes=minutes,
        note=f"{level:g} bits more count as level. The rate decays: at a constant one all three jump back up.",
    )


CLAIMS = (
    _at_least_as_well("copy", "to copy", "copy --sampler.max-length 10 --steps 32000", 0.5, 30),
    _at_least_as_well(
        "recall",
        "associative recall",
        "associative_recall --sampler.item-length 1 --sampler.min-items 3 --steps 100000",
        0.25,
        60,
    ),
    _at_least_as_well(
        "sort",
        "to sort by priority",
        "priority_sort --sampler.min-items 10 --sampler.max-items 10 --steps 60000",
        2.0,
        60,
    ),
    Claim(
        "sam_curriculum",
        RAE,
        "With two million slots and a curriculum that doubles, SAM gets past 1,000 items in associative recall.",
        (
            Trained(
                "sam",
                "task --task associative_recall --sampler.item-length 1 --core sam --memory.heads 4 "
                "--memory.slots 2000000 --memory.word-size 32 --memory.controller-size 100 --lr 1e-3 --clip-norm 10 "
                "--batch-size 2 --report-every 500 --steps 200000 --curriculum.kind doubling "
                "--curriculum.level min_items max_items --curriculum.lowest 3 --curriculum.start 3 "
                "--curriculum.limit 100000 --curriculum.threshold 1.0 --curriculum.window 100",
                "--length 48,480 --sequences 50",
            ),
        ),
        (Bound("items in a list", "sam", "training.last.level", at_least=1000.0, paper="past 4,000"),),
        seeds=(0,),
        minutes=240,
    ),
)
"""Learning first, then size."""
