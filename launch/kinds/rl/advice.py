"""Says when a run of reinforcement learning is not learning, what is seen, and which options to try."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, median
from typing import Any

from lukasa.launch.kinds.rl.experiment import RLExperiment
from lukasa.launch.kinds.rl.learning import takes

Row = Mapping[str, Any]

FAIR_STEPS = 30_000
"""Environment steps after which a run could have moved; a fifth of all its steps where that is more."""
PATIENCE = 100_000
"""Environment steps, or half of all, that returns may stay where they are while nothing else looks wrong."""
WINDOW = 8
"""Lines of metrics that are looked at together, of late and from the start."""
RISEN = 0.25
"""Standard deviations of an episode's return by which the mean has to rise to count as learned."""
DEAD_GRADIENT, DEAD_KL = 1e-6, 1e-6
RANDOM = 0.98
"""Share of the first entropy that a policy has to keep to count as no less random than it was."""
EXPLAINED = 0.05
DROWNED = 100
"""Times ``clip_norm``: gradients longer than this are nearly all cut away."""


class Watch:
    """Looks at every line of metrics; each cause is said once, as long as returns have not risen.

    Args:
        experiment: what is trained.
        rows: the lines of earlier sittings.
    """

    def __init__(self, experiment: RLExperiment, rows: Iterable[Row] = ()):
        self._experiment = experiment
        self._fair = max(FAIR_STEPS, experiment.steps // 5)
        measured = [row for row in rows if row.get("return_mean") is not None]
        self._first, self._late = measured[:WINDOW], measured[-WINDOW:]
        self._said: set[str] = set()

    def look(self, row: Row) -> dict[str, str]:
        """Say what is new on stderr; the causes as they go into the line of metrics, nothing where it learns."""
        if row.get("return_mean") is None:
            return {}
        if len(self._first) < WINDOW:
            self._first.append(row)
        self._late = [*self._late[1 - WINDOW :], row]
        if row["env_steps"] < self._fair or len(self._late) < WINDOW or _risen(self._first, self._late):
            return {}
        causes = find_causes(self._experiment, self._first, self._late)
        for cause, sentence in causes.items():
            if cause not in self._said:
                told = f"not learning: after {row['env_steps']:,} steps the mean return is {row['return_mean']:.4g}"
                print(f"{told}, about what it was at the start; {sentence}", file=sys.stderr, flush=True)
        self._said |= causes.keys()
        return {"not_learning": ", ".join(causes)} if causes else {}


def find_causes(experiment: RLExperiment, first: Sequence[Row], late: Sequence[Row]) -> dict[str, str]:
    """What keeps a run from learning whose returns have not risen: a sentence by the name of each cause.

    Args:
        experiment: what is trained.
        first: the first lines of its metrics.
        late: the last ones.
    """
    found = _dead_updates(experiment, late)
    if found or experiment.start_from:  # which may begin with the best return there is
        return found
    found = _drowned(experiment, late) | _random(experiment, first, late) | _unexplained(experiment, late)
    # Where all returns are alike there is nothing to learn from, however long one waits.
    hopeful = any(row.get("return_std", math.nan) != 0 for row in (*first, *late))
    patient = hopeful and late[-1]["env_steps"] < max(PATIENCE, experiment.steps // 2)
    return found or ({} if patient else _flat(experiment, late))


def _dead_updates(experiment: RLExperiment, late: Sequence[Row]) -> dict[str, str]:
    gradient, kl, lr = _median(late, "gradient_norm"), _median(late, "kl"), f"--lr {10 * experiment.lr:.1g}"
    if gradient is not None and gradient < DEAD_GRADIENT:
        lost = "inputs or rewards that are always the same, or far too large, leave none: look at the environment"
        return {"gradients": f"the gradients are dead (norm {gradient:.1g}): {lost}, and try --normalize-observations"}
    if kl is not None and abs(kl) < DEAD_KL:
        return {"kl": f"updates do not change the policy (KL {kl:.1g}): try {lr} or a larger --clip-norm"}
    return {}


def _drowned(experiment: RLExperiment, late: Sequence[Row]) -> dict[str, str]:
    gradient = _median(late, "gradient_norm")
    if gradient is None or experiment.clip_norm is None or gradient < DROWNED * experiment.clip_norm:
        return {}
    remedy = "--value-weight 0.1" if experiment.normalize_returns else "--normalize-returns"
    seen = f"gradients are {gradient / experiment.clip_norm:,.0f} times --clip-norm, so that nearly all of them is cut"
    return {"clipping": f"{seen}: the value loss drowns the policy's; try {remedy}"}


def _random(experiment: RLExperiment, first: Sequence[Row], late: Sequence[Row]) -> dict[str, str]:
    entropy, before = _median(late, "entropy"), first[0].get("entropy")
    if entropy is None or not before or before <= 0 or entropy < RANDOM * before:
        return {}
    less = f"--entropy {experiment.entropy / 10:.1g}, " if experiment.entropy else ""
    more = f" or more --epochs than {experiment.epochs}" if takes(experiment.algorithm, "epochs") else ""
    remedy = f"{less}a larger --lr than {experiment.lr:g}{more}"
    return {"entropy": f"the policy is as random as at first (entropy {entropy:.3g}): try {remedy}"}


def _unexplained(experiment: RLExperiment, late: Sequence[Row]) -> dict[str, str]:
    explained, spread = _median(late, "value_explained"), _median(late, "return_std")
    if explained is None or explained > EXPLAINED or not spread:
        return {}
    tries = [] if experiment.normalize_returns else ["--normalize-returns"]
    clipped = experiment.value_clip is not None and takes(experiment.algorithm, "value_clip")
    tries += ["no --value-clip"] if clipped else []
    tries += [] if experiment.core != "feedforward" else ["a --core with memory, such as gru"]
    tries += ["a smaller --gamma", "--normalize-observations" if not experiment.normalize_observations else ""]
    remedy = " or ".join(filter(None, tries))
    return {"value": f"the value explains nothing of the returns (value_explained {explained:.2f}): try {remedy}"}


def _flat(experiment: RLExperiment, late: Sequence[Row]) -> dict[str, str]:
    explore = f"--entropy {max(0.01, 3 * experiment.entropy):.2g}"
    if takes(experiment.algorithm, "epsilon_steps"):
        explore = f"--learning.epsilon-steps {max(20_000, experiment.steps // 4)}"
    if not _median(late, "return_std"):
        seen = "every episode returns the same, so that there is nothing to learn from"
        return {"returns": f"{seen}: try {explore} to explore more, or give rewards on the way"}
    tries = ["more --steps", explore, "another --gamma"]
    tries += [] if experiment.core != "feedforward" else ["a --core with memory, such as gru"]
    return {"returns": f"nothing else looks wrong: try {' or '.join(tries)}"}


def _risen(first: Sequence[Row], late: Sequence[Row]) -> bool:
    start, now = (fmean(row["return_mean"] for row in rows) for rows in (first, late))
    spread = median(row.get("return_std") or 0.0 for row in (*first, *late))
    return now - start > RISEN * spread + 1e-3 * abs(start)


def _median(rows: Sequence[Row], name: str) -> float | None:
    values = [row[name] for row in rows if row.get(name) is not None]
    return median(values) if values else None
