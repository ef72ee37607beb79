"""An episodic memory keeps examples by chance or by class, and holds them exactly."""

import pytest
import torch

from lukasa.agents.continual import EpisodicMemory
from lukasa.tasks.continual import taught


def numbered(count, groups=1, seed=0):
    """Examples whose pixels are all their own number."""
    numbers = torch.arange(count)
    inputs = numbers[:, None, None].expand(-1, 2, 2).to(torch.uint8)
    return taught(inputs.contiguous(), numbers[:, None], 0, numbers % groups)


def kept(memory):
    return memory.everything().answers[:, 0].tolist()


def test_every_example_stays_with_the_same_probability():
    examples, slots, rounds = numbered(40), 10, 200
    times = torch.zeros(40)
    for seed in range(rounds):
        memory = EpisodicMemory(slots, examples, 1)
        generator = torch.Generator().manual_seed(seed)
        for start in range(0, 40, 8):
            memory.add(examples.rows(start, start + 8), generator)
        times[kept(memory)] += 1
    expected = rounds * slots / 40
    variance = expected * (1 - slots / 40)  # of a hypergeometric count, whose sum is fixed
    chi_square = float(((times - expected) ** 2 / variance).sum()) * 39 / 40
    assert chi_square < 72.1  # 99.9 % of chi-square with 39 degrees of freedom
    assert int(times.sum()) == rounds * slots


def test_each_class_has_its_share_however_rare_it_is():
    examples = numbered(60, groups=60)._replace(groups=torch.tensor([0] * 50 + [1] * 6 + [2] * 4))
    memory = EpisodicMemory(12, examples, 3, "per_class")
    memory.add(examples, torch.Generator().manual_seed(0))
    assert torch.bincount(memory.everything().groups).tolist() == [4, 4, 4]
    assert len(set(kept(memory))) == 12


def test_inputs_come_out_as_they_went_in():
    examples = numbered(250)
    memory = EpisodicMemory(250, examples, 1)
    memory.add(examples, torch.Generator().manual_seed(0))
    out = memory.everything()
    assert all(torch.equal(one, other) for one, other in zip(out, examples, strict=True))
    assert out.inputs.dtype == torch.uint8


def test_bytes_are_those_of_what_is_written():
    examples = numbered(5)
    memory = EpisodicMemory(1000, examples, 1)
    memory.add(examples, torch.Generator().manual_seed(0))
    assert memory.bytes == 5 * (2 * 4 + 8 * 3)


def test_a_memory_goes_on_from_its_state():
    examples = numbered(60, groups=3)
    whole, half = (EpisodicMemory(9, examples, 3, "per_class") for _ in range(2))
    generator = torch.Generator().manual_seed(4)
    whole.add(examples.rows(0, 30), generator)
    half.load_state_dict(whole.state_dict())
    again = generator.clone_state()
    whole.add(examples.rows(30, 60), generator)
    half.add(examples.rows(30, 60), again)
    assert kept(whole) == kept(half)
    assert whole.seen == half.seen == 60


def test_a_memory_smaller_than_its_classes_is_refused():
    with pytest.raises(ValueError, match="4 slots cannot hold an example of each of 5 classes"):
        EpisodicMemory(4, numbered(10), 5, "per_class")
    with pytest.raises(ValueError, match="expected at least 1"):
        EpisodicMemory(0, numbered(10), 1)
    with pytest.raises(ValueError, match="keep is 'newest': choose one of 'reservoir', 'per_class'"):
        EpisodicMemory(4, numbered(10), 1, "newest")


def test_nothing_is_drawn_from_an_empty_memory():
    with pytest.raises(ValueError, match="holds no example yet"):
        EpisodicMemory(4, numbered(10), 1).draw(2, torch.Generator())


def test_more_are_drawn_than_there_are():
    memory = EpisodicMemory(4, numbered(3), 1)
    memory.add(numbered(3), torch.Generator())
    drawn = memory.draw(8, torch.Generator().manual_seed(0)).answers[:, 0].tolist()
    assert len(drawn) == 8
    assert set(drawn) == {0, 1, 2}
