"""The ten tasks: every program by hand solves its own, and nothing else does."""

import pytest
import torch

from lukasa.agents.neural_ram import program_by_hand, score_hard
from lukasa.tasks.ram import RAM_TASKS, ram_task


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", RAM_TASKS)
def test_the_program_by_hand_is_exact_at_every_length(name):
    task, (layout, rules) = RAM_TASKS[name], program_by_hand(name)
    for length in (task.shortest, task.shortest + 1, task.longest, 10 * task.longest):
        scored = score_hard(task, layout, rules, length, 50, generator(length))
        assert (scored.error, scored.exact) == (0, 100), length


@pytest.mark.parametrize("name", RAM_TASKS)
def test_memories_hold_addresses_and_are_the_same_for_the_same_seed(name):
    task = RAM_TASKS[name]
    one, same, other = (task.sample(task.longest, 6, generator(seed)) for seed in (1, 1, 2))
    cells = task.cells(task.longest)
    assert one.memory.shape == (6, cells)
    assert all(0 <= int(part.min()) <= int(part.max()) < cells for part in one[:2])
    assert all(torch.equal(*parts) for parts in zip(one, same, strict=True))
    assert not torch.equal(one.memory, other.memory)
    assert bool(one.mask.any(1).all())
    assert torch.equal(torch.where(one.mask, 0, one.memory), torch.where(one.mask, 0, one.target))
    wide = task.sample(task.longest, 6, generator(), cells=cells + 5)
    assert wide.memory.shape == (6, cells + 5)
    assert one.rows(2, 4).memory.shape == (2, cells)
    assert task.sample(task.longest, 0, generator()).memory.shape == (0, cells)


def test_examples_are_those_of_the_paper():
    copied = ram_task("copy").sample(3, 1, generator())
    memory, target = copied.memory[0].tolist(), copied.target[0].tolist()
    assert memory[0] == 4
    assert target[4:7] == memory[1:4]
    merged = ram_task("merge").sample(6, 4, generator())
    for memory, target in zip(merged.memory.tolist(), merged.target.tolist(), strict=True):
        a, b, out = memory[:3]
        assert sorted(memory[a : b - 1] + memory[b : out - 1]) == target[out : out + 6]
        assert memory[b - 1] == memory[out - 1] == len(memory) - 1


def test_a_memory_too_small_is_refused():
    with pytest.raises(ValueError, match="copy of length 3 needs 8 cells, and the memory has 7"):
        ram_task("copy").sample(3, 1, generator(), cells=7)
    with pytest.raises(ValueError, match="swap of length 1: expected at least 2"):
        ram_task("swap").sample(1, 1, generator())
    with pytest.raises(ValueError, match="unknown task 'copie': did you mean 'copy'"):
        ram_task("copie")
