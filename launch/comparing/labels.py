"""Labels that name what differs between experiments, and nothing else; no two of them are equal."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lukasa.launch.comparing.several_seeds import counted_seeds
from lukasa.launch.kinds.kind import Experiments

SETTLED = "seed", "steps", "stop_at"
"""Fields that differ between runs of one experiment: seeds, and how long it was trained."""
ELSEWHERE = ("threads", "checkpoint_every", "report_every", "validate_every", "device", "gradient_flow", "prefetch")
"""Fields that say where it is computed and what is written down; they change no result, or only its rounding."""
MOST_FIELDS = 3
"""In a label, unless more are needed to tell two apart."""

Values = Mapping[str, Any]


def flat(experiment: Any) -> dict[str, Any]:
    """The fields of an experiment with the options below them, as the command line names them.

    Example:
        >>> from lukasa.launch.kinds.supervised.experiment import TaskExperiment
        >>> found = flat(TaskExperiment(memory={"slots": 8}))
        >>> found["core"], found["memory.slots"], found["curriculum.kind"]
        ('ntm', 8, 'uniform')
    """
    found: dict[str, Any] = {}
    for one in dataclasses.fields(experiment):
        value = getattr(experiment, one.name)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            value = dataclasses.asdict(value)
        if isinstance(value, Mapping):
            found |= {f"{one.name}.{name}": option for name, option in value.items()}
        else:
            found[one.name] = value
    return found


def differences(kind: Experiments[Any], experiments: Sequence[Any]) -> dict[str, list[Any]]:
    """The fields that differ between experiments, with each one's value; what others depend on comes first.

    Options of a core are compared between experiments with that core; the others' value is None.

    Args:
        kind: what can be asked of their kind of training.
        experiments: at least one.
    """
    values = [flat(experiment) for experiment in experiments]
    deciders = list(dict.fromkeys(group.chosen_by for group in kind.groups.values()))
    names = dict.fromkeys([*deciders, *(name for one in values for name in one)])
    return {name: [one.get(name) for one in values] for name in names if _differs(kind, name, values)}


def make_labels(
    kind: Experiments[Any], experiments: Sequence[Any], seeds: Sequence[Sequence[int]], paths: Sequence[Path]
) -> list[str]:
    """A label for each experiment, of one seed or several, that names what differs from the others.

    Args:
        kind: what can be asked of their kind of training.
        experiments: what was asked, without regard to the seed.
        seeds: of each.
        paths: their directories, all different.
    """
    chosen = getattr(experiments[0], "core", None) or getattr(experiments[0], "learner", "")
    if len(paths) == 1:
        return [chosen]
    found = differences(kind, experiments)
    ways = [name for name in found if name not in (*SETTLED, *ELSEWHERE)]
    last_resorts = [name for name in (*SETTLED[1:], *ELSEWHERE) if name in found]
    named = ways if len(ways) <= MOST_FIELDS else _needed(ways, found, len(paths))
    columns = [[_shown(kind, name, value) for value in found[name]] for name in named]
    columns += [[_shown(kind, name, value) for value in found[name]] for name in last_resorts]
    kept, further = columns[: len(named)], columns[len(named) :]
    further.append([f"seed {one[0]}" if len(one) == 1 else counted_seeds(one) for one in seeds])
    further += [[path.name for path in paths], [str(path) for path in paths]]
    for column in further:
        if len(set(zip(*kept, strict=True))) == len(paths):
            break
        # A column that tells none of them from another says nothing.
        if len(set(zip(*kept, column, strict=True))) > max(1, len(set(zip(*kept, strict=True)))):
            kept.append(column)
    labels = [", ".join(filter(None, cells)) for cells in zip(*kept, strict=True)]
    return [label or chosen for label in labels] if len(set(labels)) == len(paths) else [str(path) for path in paths]


def show_value(value: Any) -> str:
    """A value of a field for people.

    Example:
        >>> show_value(0.001), show_value(True), show_value(None), show_value((1, 2)), show_value(100000)
        ('0.001', 'true', 'none', '1 2', '100,000')
    """
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, int):
        return f"{value:,}"
    return " ".join(map(show_value, value)) if isinstance(value, list | tuple) else str(value)


def _differs(kind: Experiments[Any], name: str, values: Sequence[Values]) -> bool:
    group = kind.groups.get(name.partition(".")[0]) if "." in name else None
    if group is None:
        return any(one.get(name) != values[0].get(name) for one in values)
    alike: dict[Any, list[Any]] = {}
    for one in values:
        alike.setdefault(one.get(group.chosen_by), []).append(one.get(name))
    return any(any(value != some[0] for value in some) for some in alike.values())


def _shown(kind: Experiments[Any], name: str, value: Any) -> str:
    """A field in a label; what decides about others goes without its name, and what a core has not is left out."""
    if name in {group.chosen_by for group in kind.groups.values()}:
        return show_value(value)
    return "" if value is None and "." in name else f"{name.rpartition('.')[2].replace('_', ' ')} {show_value(value)}"


def _needed(names: Sequence[str], found: Mapping[str, Sequence[Any]], count: int) -> list[str]:
    """The first fields that tell experiments apart, each of which tells more of them apart than those before."""
    chosen: list[str] = []
    apart = 1
    for name in names:
        now = len(set(zip(*([str(value) for value in found[one]] for one in [*chosen, name]), strict=True)))
        if now > apart:
            chosen.append(name)
            apart = now
        if apart == count:
            break
    return chosen
