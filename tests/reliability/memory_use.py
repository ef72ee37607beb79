"""The memory that a process holds while a sparse memory trains in RLlib: flat after it has warmed up."""

from pathlib import Path

from lukasa.launch.runs.directory import open_run, read_metrics
from tests.launch.mutations import Campaign
from tests.reliability.commands import run

LINE = (
    "train rl --env RepeatPrevious-k4-v0 --core sam --memory.slots 4096 --memory.word-size 16 "
    "--memory.controller-size 32 --envs-per-runner 16 --batch-size 1024 --minibatch-size 256 --epochs 1 "
    "--checkpoint-every 300"
)
WARM = 0.1
"""Share of the lines after which a process is warm."""
MOST_GROWTH = 0.05


def growth(path: Path) -> tuple[float, int, int]:
    """The share by which a process grew after it was warm, the steps, and the most bytes it held."""
    found, _ = open_run(path)
    rows = read_metrics(found)
    held = [row["resident_bytes"] for row in rows]
    warm = held[int(WARM * len(held))]
    return max(held) / warm - 1, rows[-1][found.step_key], max(held)


def flat(path: Path) -> str:
    """Check a run that has trained: "right" where it did not grow."""
    share, steps, most = growth(path)
    print(f"    {steps:,} steps, {most / 1e6:,.0f} MB at most, {share:+.1%} since it was warm", flush=True)
    assert share < MOST_GROWTH, f"grew by {share:.1%} in {steps:,} steps"
    return "right"


def campaign(steps: int, folder: Path) -> Campaign:
    """Train SAM for so many environment steps."""
    tried, path = Campaign(), folder / "sam"

    def train() -> str:
        ended = run([*LINE.split(), "--steps", str(steps), "--out", str(path)], path, alone=True)
        assert ended.code == 0, ended.told
        return flat(path)

    tried.attempt("sam", train)
    return tried
