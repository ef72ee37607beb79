"""Losses, scores and widths follow from the kind of each field."""

import math

import pytest
import torch

from lukasa.tasks import Field, Score, Spec
from lukasa.tasks.batch import Batch
from lukasa.tasks.drawing import lay_out
from lukasa.tasks.spec import Item, Unit

KINDS = {
    "binary": Field("target", "binary", 3),
    "categorical": Field("target", "categorical", 2, 4),
    "scalar": Field("target", "scalar", 3),
}


def make_spec(kind: str, unit: Unit = "bits per sequence", item: Item = "symbol") -> Spec:
    return Spec((Field("a", "binary", 2), Field("b", "categorical", 2, 5)), KINDS[kind], unit, 0.0, 0.0, "", item)


def make_batch(kind: str) -> Batch:
    generator = torch.Generator().manual_seed(0)
    field = KINDS[kind]
    shape = (2, 4, field.symbols)
    targets = {
        "binary": torch.randint(0, 2, shape, generator=generator).float(),
        "categorical": torch.randint(0, 4, shape, generator=generator),
        "scalar": torch.randn(shape, generator=generator),
    }[kind]
    mask = torch.tensor([[False, True, True, False], [True, False, False, True]])
    return Batch(torch.zeros(2, 4, 12), targets, mask, torch.tensor([4, 4]))


def test_widths_and_columns_follow_from_fields():
    spec = make_spec("categorical")
    assert (spec.input_size, spec.output_size) == (12, 8)
    assert spec.columns("b") == slice(2, 12)
    with pytest.raises(KeyError):
        spec.columns("c")


@pytest.mark.parametrize("kind", KINDS)
def test_loss_is_the_sum_over_scored_steps(kind):
    spec, batch = make_spec(kind), make_batch(kind)
    outputs = torch.randn(2, 4, spec.output_size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for row in range(2):
        expected = 0.0
        for step in range(4):
            if not batch.mask[row, step]:
                continue
            for symbol in range(spec.target.symbols):
                target = batch.targets[row, step, symbol].item()
                if kind == "categorical":
                    logits = outputs[row, step, 4 * symbol : 4 * symbol + 4].tolist()
                    expected -= math.log(math.exp(logits[int(target)]) / sum(map(math.exp, logits)))
                    continue
                value = outputs[row, step, symbol].item()
                if kind == "binary":
                    chance_of_one = 1 / (1 + math.exp(-value))
                    expected -= math.log(chance_of_one if target else 1 - chance_of_one)
                else:
                    expected += (value - target) ** 2
        assert spec.loss(outputs, batch)[row].item() == pytest.approx(expected, rel=1e-9)
        assert spec.bits(outputs, batch)[row].item() == pytest.approx(expected / math.log(2), rel=1e-9)


def test_undecided_outputs_cost_one_bit_for_each_bit():
    spec, batch = make_spec("binary"), make_batch("binary")
    assert spec.score(torch.zeros(2, 4, 3), batch).value == pytest.approx(2 * 3)


def test_squared_error_is_scored_per_sequence():
    spec, batch = make_spec("scalar", unit="squared error"), make_batch("scalar")
    assert spec.score(batch.targets + 2, batch).value == pytest.approx(2 * 3 * 4)


@pytest.mark.parametrize(("item", "wrong", "count"), [("symbol", 3, 12), ("step", 2, 6), ("answer", 2, 4)])
def test_items_are_symbols_steps_or_answers(item, wrong, count):
    spec = make_spec("categorical", unit="error %", item=item)
    mask = torch.tensor([[True, True, False, True], [True, False, True, True]])
    targets = torch.zeros(2, 4, 2, dtype=torch.int64)
    answers = targets.clone()
    answers[0, 1] = 1  # both symbols of a step in the first answer
    answers[1, 3, 0] = 1  # one symbol in the last
    answers[0, 2] = 1  # not scored
    batch = Batch(torch.zeros(2, 4, 12), targets, mask, torch.tensor([4, 4]))
    outputs = spec.shown(answers)
    assert spec.mistakes(outputs, batch) == (wrong, count)
    assert spec.score(outputs, batch).value == pytest.approx(100 * wrong / count)
    right = make_spec("categorical", unit="accuracy %", item=item)
    assert right.score(outputs, batch).value == pytest.approx(100 - 100 * wrong / count)


def test_scores_of_batches_add_up():
    assert (Score(30.0, 1) + Score(0.0, 2)).value == 10.0
    assert math.isnan(Score(0.0, 0).value)


@pytest.mark.parametrize("kind", KINDS)
def test_shown_answers_are_read_back_as_the_same_answers(kind):
    spec, batch = make_spec(kind), make_batch(kind)
    shown = spec.shown(batch.targets)
    assert shown.shape[-1] == spec.output_size
    assert torch.equal(spec.answers(shown).to(batch.targets), batch.targets)


def test_outputs_of_another_shape_are_refused_with_both_shapes():
    with pytest.raises(ValueError, match=r"outputs \[2, 4, 2\] do not fit the batch: expected \[2, 4, 3\]"):
        make_spec("binary").loss(torch.zeros(2, 4, 2), make_batch("binary"))


def test_layout_skips_empty_blocks_and_marks_what_is_beyond():
    blocks = lay_out(torch.tensor([[2, 0, 1], [1, 3, 1]]))
    assert blocks.block.tolist() == [[0, 0, 2, 2, 2], [0, 1, 1, 1, 2]]
    assert blocks.offset.tolist()[1] == [0, 0, 1, 2, 0]
    assert blocks.inside.tolist() == [[True] * 3 + [False] * 2, [True] * 5]
    assert blocks.phase(2, of=3).tolist() == [[False, False, True, False, False], [False] * 4 + [True]]
