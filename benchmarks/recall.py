"""How often an approximate index finds what the exact one finds, on keys and words of a trained SAM.

Legend: B batch, D input width, N slots, W word size, H heads, Q steps whose keys are searched, k neighbours.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lukasa import memory
from lukasa.agents.sequence import on_core, sequence_trainer
from lukasa.ground.mistakes import UserError
from lukasa.launch.kinds.supervised.evaluation import load_core
from lukasa.launch.kinds.supervised.experiment import TaskExperiment
from lukasa.launch.kinds.supervised.recipes import TASK
from lukasa.launch.kinds.supervised.settings import make_sampler
from lukasa.launch.runs.directory import open_run
from lukasa.memory.sparse.indexes import INDEXES, make_index
from lukasa.tasks import Sampler

BRIEF_TASK = "associative_recall"
BRIEF_MEMORY = {"word_size": 32, "heads": 4, "reads": 4, "controller_size": 100}
EQUAL = 1e-5
"""Two words are equally near to a key when their cosines differ by no more: a task's words repeat."""


@dataclass(frozen=True)
class Agent:
    """A SAM and the task that it learned.

    Attributes:
        core: the core, with as many slots as recall is measured on.
        sampler: of its task.
        source: where it comes from.
    """

    core: Any
    sampler: Sampler
    source: str


def trained_agent(run: str, slots: int, index: str) -> Agent:
    """The SAM of a run directory, with another number of slots.

    Raises:
        UserError: there is no such run, or it is not one of a SAM on a task.
    """
    opened, config = open_run(Path(run))
    if config["kind"] != "task" or config["experiment"]["core"] != "sam":
        raise UserError(f"run {run} is not one of core 'sam' on a task: give one of `lukasa train task --core sam`")
    experiment = TASK.from_json(config["experiment"])
    trained = load_core(opened, experiment, "best").core.state_dict()
    agent = _with_slots(experiment, slots, index, f"{run}, {experiment.task}")
    agent.core.load_state_dict(trained)
    return agent


def briefly_trained_agent(slots: int, index: str, batches: int) -> Agent:
    """A SAM after a little training on associative recall, with another number of slots."""
    experiment = TaskExperiment(task=BRIEF_TASK, core="sam", memory=BRIEF_MEMORY)
    torch.manual_seed(experiment.seed)
    learner = _with_slots(experiment, 1024, "exact", "")
    optimizer = torch.optim.Adam(learner.core.parameters(), experiment.lr)
    trainer = sequence_trainer(
        learner.core, learner.sampler, optimizer, torch.Generator().manual_seed(0), batch_size=experiment.batch_size
    )
    for _ in range(batches):
        trainer.step()
    source = f"{BRIEF_TASK}, {batches} batches of {experiment.batch_size} sequences"
    agent = _with_slots(experiment, slots, index, source)
    agent.core.load_state_dict(learner.core.state_dict())
    return agent


def _with_slots(experiment: TaskExperiment, slots: int, index: str, source: str) -> Agent:
    sampler = make_sampler(experiment.task, "train", dict(experiment.sampler))
    own = {name: value for name, value in experiment.memory.items() if name != "index_options"}
    sizes = {"input_size": sampler.spec.input_size, "output_size": sampler.spec.output_size}
    options: Any = own | {"slots": slots, "index": index}
    return Agent(memory.make_core("sam", **sizes, **options), sampler, source)


@torch.no_grad()
def lived_in(agent: Agent, queries: int) -> tuple[Tensor, Tensor]:
    """Let the agent solve sequence after sequence, its memory never emptied, until every slot is written.

    Args:
        agent: the agent.
        queries: Q, how many of its last steps' keys to keep.

    Returns:
        The words [1, N, W] and the keys [Q, H, W].
    """
    core, generator = agent.core, torch.Generator().manual_seed(0)
    keys: deque[Tensor] = deque(maxlen=queries)
    watched = core.interface.register_forward_hook(lambda _, __, emitted: keys.append(core.parse(emitted).keys[0]))
    state = core.initial_state(1)
    while int(state.memory.used[0]) < core.slots or len(keys) < queries:
        batch = on_core(core, agent.sampler.sample(1, generator))
        fresh = core.initial_state(1)
        _, state = memory.unroll(core, batch.inputs, fresh._replace(memory=state.memory))
    watched.remove()
    return state.memory.tensors()["rows"], torch.stack(list(keys))


def compare_indexes(words: Tensor, keys: Tensor, reads: int, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Search every index for the keys, step by step as a core does.

    Args:
        words: [1, N, W], all written.
        keys: [Q, H, W].
        reads: k.
        tell: is told of an index that cannot be made here.

    Returns:
        By index: its name, milliseconds a step's search, seconds to build, and against the exact one: how often its
        first is as near as the nearest, how often it is the same slot, how many of the k nearest it finds.
    """
    exact, rows = _search("exact", words, keys, reads)
    found = [rows | {"recall": 1.0, "same_slot": 1.0, "recall_of_all": 1.0}]
    nearest = _similarity(words, keys, exact[..., :1])
    for name in INDEXES:
        if name in ("exact", "auto"):
            continue
        try:
            slots, rows = _search(name, words, keys, reads)
        except ImportError as error:
            tell(f"index {name!r} is not measured: {error}")
            continue
        near = _similarity(words, keys, slots[..., :1]) >= nearest - EQUAL
        both = (slots.unsqueeze(-1) == exact.unsqueeze(-2)) & (slots >= 0).unsqueeze(-1)
        found.append(
            rows
            | {
                "recall": near.float().mean().item(),
                "same_slot": (slots[..., 0] == exact[..., 0]).float().mean().item(),
                "recall_of_all": both.any(-2).float().mean().item(),
            }
        )
    return found


def _search(name: str, words: Tensor, keys: Tensor, reads: int) -> tuple[Tensor, dict[str, Any]]:
    """The slots [Q, H, k] that an index finds, and its times."""
    batch_size, slots, width = words.shape
    index = make_index(name, batch_size=batch_size, slots=slots, word_size=width, contents=words)
    started = time.perf_counter()
    index.rebuild(words, torch.full((batch_size,), slots))
    built = time.perf_counter()
    found = torch.cat([index.search(step.unsqueeze(0), reads) for step in keys])
    ended = time.perf_counter()
    return found, {"index": name, "ms": (ended - built) / len(keys) * 1e3, "build_seconds": built - started}


def _similarity(words: Tensor, keys: Tensor, slots: Tensor) -> Tensor:
    """Cosines [Q, H, 1] of the keys and the words found, below every cosine where none was."""
    found = F.normalize(words[0, slots.clamp_min(0)], dim=-1)  # [Q, H, 1, W]
    cosines = (found * F.normalize(keys, dim=-1).unsqueeze(2)).sum(-1)
    return cosines.masked_fill(slots < 0, -2)
