"""Machines learn, each start by itself, and say which of them is best."""

import threading

import pytest
import torch

from lukasa.agents.learning import Trainer, make_optimizer
from lukasa.agents.neural_ram import (
    Curriculum,
    MachineLearner,
    MachineSource,
    ProgramRunner,
    Tricks,
    longest_that_fits,
    program_by_hand,
    score_hard,
)
from lukasa.memory.neural_ram import Layout, Learned, NeuralRAM, take_start
from lukasa.tasks.ram import ram_task


def trainer_of(starts=4, task="access", tricks=None, seed=0, longest=4, lr=0.02):
    torch.manual_seed(seed)
    machine = NeuralRAM(Layout(2), starts=starts, hidden=16)
    curriculum = Curriculum(starts, 1, longest, threshold=5)
    learner = MachineLearner(machine, curriculum, tricks or Tricks(entropy=0.01, noise=0.001))
    source = MachineSource(ram_task(task), curriculum, spare=1)
    optimizer = make_optimizer("adam", machine.parameters(), lr)
    return Trainer(learner, source, optimizer, torch.Generator().manual_seed(seed), batch_size=8)


def test_a_start_finds_a_program_that_is_exact_far_beyond_what_it_saw():
    trainer = trainer_of(starts=4)
    for _ in range(180):
        trainer.step()
    machine, exact = trainer.learner.machine, 0
    for start in range(4):
        policy = Learned(take_start(machine, start))
        scored = score_hard(ram_task("access"), machine.layout, policy, 60, 30, torch.Generator().manual_seed(0))
        exact += scored.error == 0
    assert exact >= 1


def test_a_trainer_goes_on_as_if_it_had_not_stopped():
    whole, first = trainer_of(), trainer_of()
    losses = [whole.step().loss for _ in range(6)]
    for _ in range(3):
        first.step()
    again = trainer_of(seed=5)
    again.load_state_dict(first.state_dict())
    assert [again.step().loss for _ in range(3)] == losses[3:]


def test_each_start_has_a_norm_of_its_own():
    trainer = trainer_of(tricks=Tricks(clip=1e-3))
    source, learner = trainer.source, trainer.learner
    generator = torch.Generator().manual_seed(0)
    learner.learn(source.sample(source.choose(generator), 8, generator))
    squares = sum(one.grad.view(4, -1).square().sum(1) for one in learner.module.parameters())
    torch.testing.assert_close(squares.sqrt(), torch.full((4,), 1e-3))


def test_a_start_that_is_not_finite_leaves_the_others_alone():
    trainer = trainer_of(tricks=Tricks())
    with torch.no_grad():
        trainer.learner.machine.controller.inner[2] = float("nan")
    before = [one.detach().clone() for one in trainer.learner.module.parameters()]
    trainer.step()
    for old, new in zip(before, trainer.learner.module.parameters(), strict=True):
        assert torch.equal(old[2], new[2]) or old[2].isnan().any()
        assert new[[0, 1, 3]].isfinite().all()
        assert not torch.equal(old[0], new[0])


def test_noise_is_the_same_for_the_same_batch_and_falls():
    sizes = []
    for number in (0, 10_000):
        trainer = trainer_of(tricks=Tricks(noise=10.0, noise_decay=1.0))
        generator = torch.Generator().manual_seed(0)
        batch = trainer.source.sample(trainer.source.choose(generator), 8, generator)._replace(number=number)
        trainer.learner.learn(batch)
        sizes.append(float(trainer.learner.machine.controller.outer.grad.std()))
    assert sizes[0] == pytest.approx(10, rel=0.1)
    assert sizes[1] == pytest.approx(0.1, rel=0.2)


def test_levels_rise_one_by_one_and_lengths_follow():
    curriculum = Curriculum(2, 2, 5, threshold=10)
    generator = torch.Generator().manual_seed(0)
    lengths = [curriculum.draw(generator) for _ in range(400)]
    assert {length for pair in lengths for length in pair} == {2, 3, 4, 5}
    assert sum(pair[0] == 2 for pair in lengths) > 150
    for _ in range(25):
        curriculum.hear(torch.tensor([0.0, 50.0]), torch.tensor([0.1, 0.0]))
    assert curriculum.levels.tolist() == [3, 2]
    assert curriculum.leader == 0
    assert float(curriculum.errors[1]) == pytest.approx(50, abs=5)
    with pytest.raises(ValueError, match="lengths from 3 to 2"):
        Curriculum(1, 3, 2, 5)


def test_a_program_runs_on_memories_of_ones_own():
    task = ram_task("copy")
    runner = ProgramRunner(task, *program_by_hand("copy"))
    ran = runner.run([4, 7, 6, 5, 0, 0, 0, 0])
    assert ran.memory == [4, 7, 6, 5, 7, 6, 5, 0]
    assert (ran.steps, ran.stopped) == (5, True)
    assert runner.run([4, 7, 6, 5, 0, 0, 0, 0], most=2).steps == 2
    assert longest_that_fits(task, 8) == 3
    for memory, sentence in (
        ([1, 2], r"copy needs a memory of at least 4 cells \(p, A\[0\], .*, and this one has 2: add cells"),
        ([4, 9, 6, 5, 0, 0, 0, 0], "a memory of 8 cells holds values from 0 to 7, and it has 9"),
        ([1.5, 0, 0, 0], "a flat list of whole numbers"),
        ([[1], [2]], "a flat list of whole numbers"),
    ):
        with pytest.raises(ValueError, match=sentence):
            runner.run(memory)


def test_programs_by_hand_are_known_by_name():
    with pytest.raises(ValueError, match="no program by hand for 'sort'"):
        program_by_hand("sort")


class Half:
    """One of two threads that share every batch."""

    workers = 2

    def __init__(self, rank, meeting, said):
        self.rank, self.meeting, self.said = rank, meeting, said

    def totals(self, values):
        self.said[self.rank] = torch.tensor(values, dtype=torch.float64)
        self.meeting.wait()
        total = self.said[0] + self.said[1]
        self.meeting.wait()
        return total.tolist()

    def average_gradients(self, parameters):
        for one in parameters:
            mean = torch.tensor(self.totals(one.grad.flatten().tolist())).view_as(one) / 2
            one.grad = mean.to(one)


def test_two_workers_learn_what_one_learns():
    alone = trainer_of(starts=2)
    wanted = [alone.step().loss for _ in range(3)]
    meeting, said, losses = threading.Barrier(2, timeout=30), [None, None], [[], []]

    made = [trainer_of(starts=2) for _ in range(2)]

    def work(rank):
        trainer = made[rank]
        trainer.sharing = trainer.learner.sharing = Half(rank, meeting, said)
        losses[rank] += [trainer.step().loss for _ in range(3)]

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert losses[0] == losses[1]
    assert losses[0] == pytest.approx(wanted, rel=1e-4)
