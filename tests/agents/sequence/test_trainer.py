import copy
import math

import pytest
import torch

from lukasa import memory
from lukasa.agents.learning import DivergenceError, make_optimizer, make_schedule
from lukasa.tasks import Doubling, Lessons, make_task
from tests.agents.sequence.batches import Fixed, fixed, gradients, make_core, make_trainer

CORES = ["ntm", "dnc", "lstm"]


def one_step(sampler, name="ntm", dtype=torch.float64, **options):
    """Loss and gradients of the first batch, in float64."""
    trainer = make_trainer(sampler, core=make_core(sampler.spec, name, dtype=dtype), **options)
    return trainer.step(), gradients(trainer.learner.core)


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", CORES)
def test_loss_and_gradient_are_those_of_the_specs_mean_loss(name):
    sampler = fixed("copy", max_length=4)
    core = make_core(sampler.spec, name, dtype=torch.float64)
    outputs, _ = memory.unroll(core, sampler.batch.inputs.double())
    loss = sampler.spec.loss(outputs, sampler.batch).mean()
    loss.backward()
    result, found = one_step(sampler, name)
    assert result.loss == pytest.approx(float(loss.detach()), rel=1e-12)
    assert result.score.value == pytest.approx(float(loss.detach()) / math.log(2), rel=1e-6)
    assert_same(found, gradients(core))


def test_padding_moves_neither_loss_nor_gradient():
    sampler = fixed("copy", max_length=4)
    rows, _, width = sampler.batch.inputs.shape
    garbage = torch.rand(rows, 5, width, generator=torch.Generator().manual_seed(2))
    padded = sampler.batch._replace(
        inputs=torch.cat([sampler.batch.inputs, garbage], 1),
        targets=torch.cat([sampler.batch.targets, torch.zeros(rows, 5, sampler.spec.output_size)], 1),
        mask=torch.cat([sampler.batch.mask, torch.zeros(rows, 5, dtype=torch.bool)], 1),
    )
    for chunk, memory_use in ((None, 0.0), (None, 1.0), (3, 0.0)):
        result, found = one_step(sampler, chunk=chunk, memory_use=memory_use)
        longer, others = one_step(Fixed(batch=padded, spec=sampler.spec), chunk=chunk, memory_use=memory_use)
        assert longer.loss == pytest.approx(result.loss, rel=1e-12)
        assert_same(found, others)


def test_gradient_is_clipped_before_the_update():
    sampler = fixed("copy")
    _, whole = one_step(sampler)
    result, clipped = one_step(sampler, clip_value=1e-3)
    assert max(float(one.abs().max()) for one in clipped.values()) == pytest.approx(1e-3)
    _, small = one_step(sampler, clip_norm=1e-2)
    assert math.sqrt(sum(float(one.square().sum()) for one in small.values())) == pytest.approx(1e-2, rel=1e-3)
    # What is reported is the gradient as it was.
    assert math.hypot(*result.norms.values()) == pytest.approx(
        math.sqrt(sum(float(one.square().sum()) for one in whole.values())), rel=1e-6
    )


@pytest.mark.parametrize("name", CORES)
def test_chunk_as_long_as_the_sequence_is_full_backpropagation(name):
    sampler = fixed("copy", max_length=4)
    result, found = one_step(sampler, name)
    for chunk in (sampler.batch.mask.shape[1], 1000):
        truncated, others = one_step(sampler, name, chunk=chunk)
        assert truncated.loss == result.loss
        assert_same(found, others)


def test_truncated_gradient_is_the_sum_over_chunks_with_constant_states_between():
    sampler = fixed("copy", min_length=4, max_length=4)
    core = make_core(sampler.spec, dtype=torch.float64)
    inputs, state, total = sampler.batch.inputs.double(), None, 0.0
    for start in range(0, inputs.shape[1], 4):
        part = sampler.batch._replace(
            **{name: getattr(sampler.batch, name)[:, start : start + 4] for name in ("inputs", "targets", "mask")}
        )
        outputs, state = memory.unroll(core, inputs[:, start : start + 4], state)
        loss = sampler.spec.loss(outputs, part).mean()
        loss.backward()
        state, total = memory.detach_state(state), total + float(loss.detach())
    result, found = one_step(sampler, chunk=4)
    assert result.loss == pytest.approx(total, rel=1e-12)
    assert_same(found, gradients(core))
    full, whole = one_step(sampler)
    assert full.loss == pytest.approx(result.loss, rel=1e-12)
    assert not torch.allclose(whole["interface.weight"], found["interface.weight"])


def test_chunks_hand_on_the_answer_before():
    sampler = fixed("binary_addition", max_digits=3)
    whole, _ = one_step(sampler, teacher_forcing=0.0)
    parts, _ = one_step(sampler, teacher_forcing=0.0, chunk=3)
    forced, _ = one_step(sampler)
    assert parts.loss == pytest.approx(whole.loss, rel=1e-12)
    assert forced.loss != pytest.approx(whole.loss, rel=1e-6)


@pytest.mark.parametrize("part", ["output", "interface"])
def test_not_a_number_stops_and_names_the_group_and_changes_nothing(part):
    trainer = make_trainer(make_task("copy", max_length=3))
    trainer.step()
    with torch.no_grad():
        getattr(trainer.learner.core, part).weight[0, 0] = math.inf
    before = {name: one.clone() for name, one in trainer.learner.core.state_dict().items()}
    with pytest.raises(DivergenceError, match=r"the loss is (nan|inf) at batch 2 in parameter group .*") as told:
        trainer.step()
    assert part in told.value.groups
    assert trainer.batches == 1
    assert all(torch.equal(one, before[name]) for name, one in trainer.learner.core.state_dict().items())


def test_infinite_gradient_of_a_finite_loss_stops_too():
    trainer = make_trainer(fixed("copy"))
    trainer.learner.core.get_parameter("output.weight").register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(DivergenceError, match="a gradient is not finite at batch 1 in parameter group output"):
        trainer.step()


@pytest.mark.parametrize(("optimizer", "task"), [("rmsprop", "copy"), ("adam", "binary_addition"), ("adamw", "mqar")])
def test_state_put_back_gives_the_same_losses(optimizer, task):
    def build(seed):
        sampler = make_task(task)
        core = make_core(sampler.spec, seed=seed)
        made = make_optimizer(optimizer, core.parameters(), 1e-3)
        schedule = make_schedule(made, "cosine", batches=20, warmup=3)
        options = {"schedule": schedule, "clip_norm": 1.0, "teacher_forcing": 0.5}
        trainer = make_trainer(sampler, core=core, **options)
        trainer.optimizer = made
        return trainer

    first, second = build(0), build(1)
    for _ in range(3):
        first.step()
    saved = copy.deepcopy(first.state_dict())
    second.load_state_dict(saved)
    after = [(result.loss, result.lr) for result in (first.step() for _ in range(4))]
    again = [(result.loss, result.lr) for result in (second.step() for _ in range(4))]
    assert again == after
    assert second.done == 28


def test_level_doubles_on_a_low_loss_and_is_part_of_the_state():
    def build():
        curriculum = Doubling(["min_length", "max_length"], start=1, limit=4, threshold=1e6, window=2)
        return make_trainer(make_task("copy"), curriculum=curriculum)

    trainer = build()
    levels = [trainer.step().level for _ in range(5)]
    assert levels == [1, 1, 2, 2, 4]
    other = build()
    other.load_state_dict(trainer.state_dict())
    assert other.source.level == 4


def test_lessons_are_mastered_by_the_score_and_change_the_sequences():
    lessons = [{"min_length": 1, "max_length": 1}, {"min_length": 3, "max_length": 3}]
    curriculum = Lessons(lessons, mastery=1e6, window=1, review=0.0, higher_is_better=False)
    trainer = make_trainer(make_task("copy"), curriculum=curriculum)
    first, second = trainer.step(), trainer.step()
    assert (first.level, second.level) == (0, 1)
    assert 2 < second.loss / first.loss < 4  # three words cost about three times as much as one


def test_doubling_is_told_the_loss_in_bits_and_lessons_the_score():
    told = []

    class Doubles(Doubling):
        def report(self, result):
            told.append(result)

    class Learns(Lessons):
        def report(self, result):
            told.append(result)

    for curriculum in (Doubles(["max_n"], start=2, limit=4, threshold=1.0), Learns([{"max_n": 2}])):
        result = make_trainer(make_task("stack_anbn"), curriculum=curriculum).step()
        bits = isinstance(curriculum, Doubling)
        assert told.pop() == pytest.approx(result.loss / math.log(2) if bits else result.score.value)
        assert result.loss / math.log(2) != pytest.approx(result.score.value)


def test_generator_alone_decides_about_the_sequences():
    first, second = (make_trainer(make_task("copy")) for _ in range(2))
    torch.manual_seed(99)
    losses = [first.step().loss for _ in range(2)]
    torch.manual_seed(1)
    assert [second.step().loss for _ in range(2)] == losses


def test_training_brings_the_loss_down():
    trainer = make_trainer(make_task("copy", bits=2, max_length=2))
    losses = [trainer.step().loss for _ in range(200)]
    assert sum(losses[-20:]) < 0.5 * sum(losses[:20])


@pytest.mark.parametrize("name", [*CORES, "sam", "sdnc"])
def test_mixed_precision_keeps_parameters_and_gradients_whole(name):
    sampler = fixed("copy", max_length=3)
    whole = make_trainer(sampler, name).step()
    trainer = make_trainer(sampler, name, precision="bfloat16")
    mixed = trainer.step()
    assert mixed.loss == pytest.approx(whole.loss, rel=0.02)  # bfloat16 has 8 bits of mantissa
    assert mixed.loss != whole.loss
    assert {one.dtype for one in gradients(trainer.learner.core).values()} == {torch.float32}


def test_core_of_other_widths_is_refused():
    with pytest.raises(ValueError, match=r"width \(9, 8\), the core has \(5, 5\)"):
        make_trainer(make_task("copy"), core=make_core(make_task("binary_addition").spec))


def test_chunk_of_no_step_is_refused():
    with pytest.raises(ValueError, match="chunk is 0"):
        make_trainer(make_task("copy"), chunk=0)
