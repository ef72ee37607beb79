"""One table runs every task through the same checks."""

import math
import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from lukasa import tasks
from lukasa.tasks.batch import Batch
from lukasa.tasks.graph_tasks import relations
from tests.tasks import oracles

ROWS = 60
"""Sequences in a batch: enough for scores near chance, few enough for the slow oracles."""

OPTIONS = {
    "babi": {"tasks": (1, 2, 6, 15), "size": "en"},
    "babi_made": {"stories": 100},
    "omniglot": {"source": "generated", "size": 8},
}
"""Settings other than the defaults: tasks that our oracle can read, and a small corpus."""

CHANCE_OPTIONS = {
    "babi": {"tasks": (6,), "size": "en"},
    "repeat_copy": {"min_length": 5, "min_repeats": 5},
    "repeat_copy_dnc": {"min_length": 2},
}
"""Settings for the oracle one step off: questions whose answer is not often that of the one before (elsewhere people
stay where they are), products of lengths and repeats that vary less, and no word that repeats itself."""

END_MARKERS = {"repeat_copy", "repeat_copy_dnc"}
"""Tasks whose last target bit, and the step that it marks, is format, not content."""

GUESSED = {
    "ngrams": "only chance decides its bits; test_ngrams.py compares the best predictor",
    "omniglot": "nobody knows the name of a new character; test_episodes.py has the oracle",
}
"""Tasks that nobody can answer without mistakes."""

NO_LONGER = {"babi": "the real stories are as long as they are", "parity": "a vector is seen at once, whole"}
AS_LONG = {"family_inference": "a longer relation takes no more steps"}

BITS_TOLERANCE, POINTS_TOLERANCE = 0.12, 8.0
"""How far from chance an oracle one step off may score: a share of the bits, because lengths are drawn, or points."""


@pytest.fixture(params=tasks.TASKS)
def task(request) -> tasks.Task:
    return tasks.TASKS[request.param]


@pytest.fixture
def name(task) -> str:
    """The name of a task whose data is there."""
    if task.data and not os.environ.get("LUKASA_DATA"):
        pytest.skip(f"the data set {task.data} is looked for in $LUKASA_DATA, which is not set")
    return task.name


@pytest.fixture(autouse=True)
def relation_table(monkeypatch):
    table = [[int(kind) for kind in row if kind >= 0] for row in relations()]
    monkeypatch.setattr(oracles, "RELATION_TABLE", table)


def make(name: str, split: str = "train"):
    return tasks.make_task(name, split=split, **OPTIONS.get(name, {}))


def draw(sampler, seed: int, rows: int = ROWS) -> Batch:
    return sampler.sample(rows, torch.Generator().manual_seed(seed))


def oracle_answers(name: str, sampler, batch: Batch) -> torch.Tensor:
    """What the oracle answers, [B, T, S]; checks that it answers at the scored steps, and nowhere else."""
    answers = torch.zeros(*batch.mask.shape, sampler.spec.target.symbols)
    for row, length in enumerate(batch.lengths.tolist()):
        found = oracles.ORACLES[name](batch.inputs[row, :length].numpy(), sampler.spec)
        scored = batch.mask[row].nonzero()[:, 0].tolist()
        assert set(scored) <= set(found) if name == "mqar" else scored == sorted(found)
        for step in scored:
            answers[row, step] = torch.tensor(found[step])
    return answers


def one_step_off(answers: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """At each scored step the answer to the scored step before."""
    late = answers.clone()
    late[mask] = answers[mask].roll(1, 0)
    return late


def as_sure_as_right(spec, answers: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Outputs that give these answers, with the confidence that costs least for how often they are right."""
    wrong = (answers != batch.targets)[batch.mask].double().mean(0).clamp(1e-9, 0.5)  # [S]
    if spec.target.kind == "binary":
        return (2 * answers - 1) * torch.log((1 - wrong) / wrong)
    hot = F.one_hot(answers.long(), spec.target.classes).double()
    other = (wrong / (spec.target.classes - 1))[:, None]
    return torch.log(hot * (1 - wrong[:, None]) + (1 - hot) * other).flatten(-2)


def test_same_seed_gives_same_data(name):
    sampler = make(name)
    for first, second in zip(draw(sampler, 5, 4), draw(make(name), 5, 4), strict=True):
        assert torch.equal(first, second)


def test_another_seed_gives_other_data(name):
    sampler = make(name)
    first, second = draw(sampler, 5, 4), draw(sampler, 6, 4)
    assert first.inputs.shape != second.inputs.shape or not torch.equal(first.inputs, second.inputs)


def test_global_random_state_is_neither_used_nor_moved(name):
    before = torch.get_rng_state()
    draw(make(name), 5, 2)
    assert torch.equal(torch.get_rng_state(), before)


def test_shapes_and_types_follow_from_the_spec(name):
    sampler = make(name)
    batch, spec = draw(sampler, 5, 3), sampler.spec
    steps = int(batch.lengths.max())
    assert batch.inputs.shape == (3, steps, spec.input_size)
    assert batch.targets.shape == (3, steps, spec.target.symbols)
    assert batch.mask.shape == (3, steps)
    assert batch.inputs.dtype == torch.float32
    assert batch.targets.dtype == (torch.int64 if spec.target.kind == "categorical" else torch.float32)
    assert batch.mask.dtype == torch.bool
    assert batch.lengths.dtype == torch.int64
    beyond = torch.arange(steps) >= batch.lengths[:, None]
    assert not batch.inputs[beyond].any()
    assert not batch.mask[beyond].any()
    assert not batch.targets[~batch.mask].any()


def test_oracle_earns_the_best_score(name):
    sampler = make(name)
    if name in GUESSED:
        pytest.skip(GUESSED[name])
    batch = draw(sampler, 7)
    answers = oracle_answers(name, sampler, batch)
    assert torch.equal(answers.to(batch.targets), batch.targets)
    outputs = as_sure_as_right(sampler.spec, answers, batch)
    assert sampler.spec.score(outputs, batch).value == pytest.approx(sampler.spec.best, abs=1e-3)
    assert sampler.spec.mistakes(outputs, batch)[0] == 0


def test_oracle_one_step_off_earns_about_chance(name):
    if name == "omniglot":
        pytest.skip(GUESSED[name])
    sampler = tasks.make_task(name, **(CHANCE_OPTIONS.get(name) or OPTIONS.get(name, {})))
    batch = draw(sampler, 8)
    answers = oracle_answers(name, sampler, batch)
    if name in END_MARKERS:
        batch = batch._replace(mask=batch.mask & (batch.targets[..., -1] == 0))
    late = one_step_off(answers, batch.mask)
    score = sampler.spec.score(as_sure_as_right(sampler.spec, late, batch), batch).value
    bits = sampler.spec.unit == "bits per sequence"
    assert score == pytest.approx(sampler.spec.chance, abs=POINTS_TOLERANCE if not bits else None, rel=BITS_TOLERANCE)


def test_padding_never_moves_the_loss(name):
    sampler = make(name)
    batch = draw(sampler, 9, 5)
    outputs = torch.randn(*batch.mask.shape, sampler.spec.output_size, generator=torch.Generator().manual_seed(1))
    inputs, targets = (F.pad(part, (0, 0, 0, 7)) for part in batch[:2])
    longer = Batch(inputs, targets, F.pad(batch.mask, (0, 7)), batch.lengths)
    padded = F.pad(outputs, (0, 0, 0, 7), value=math.nan)
    torch.testing.assert_close(sampler.spec.loss(padded, longer), sampler.spec.loss(outputs, batch))
    assert sampler.spec.mistakes(padded, longer) == sampler.spec.mistakes(outputs, batch)


def test_padding_gets_no_gradient(name):
    sampler = make(name)
    batch = draw(sampler, 9, 3)
    outputs = torch.randn(*batch.mask.shape, sampler.spec.output_size, generator=torch.Generator().manual_seed(1))
    outputs[~batch.mask] = math.nan
    outputs.requires_grad_()
    sampler.spec.loss(outputs, batch).sum().backward()
    assert outputs.grad is not None
    assert not outputs.grad[~batch.mask].any()
    assert outputs.grad[batch.mask].any()


def test_longer_split_is_longer_and_solvable(name):
    if name in NO_LONGER:
        pytest.skip(NO_LONGER[name])
    sampler = make(name, "longer")
    trained, batch = draw(make(name), 10), draw(sampler, 10, 4)
    if name not in AS_LONG:
        assert batch.lengths.max() > trained.lengths.max()
    if name == "omniglot":
        return  # test_episodes.py has the oracle
    answers = oracle_answers(name, sampler, batch)
    if name != "ngrams":
        assert torch.equal(answers.to(batch.targets), batch.targets)


def test_splits_hold_other_sequences(name):
    options = OPTIONS.get(name, {})
    first = {split: next(tasks.split_batches(name, split, 8, **options)) for split in ("train", "validation", "test")}
    inputs = [batch.inputs for batch in first.values()]
    for one, other in zip(inputs, [*inputs[1:], inputs[0]], strict=True):
        assert one.shape != other.shape or not torch.equal(one, other)


def test_unknown_argument_is_a_type_error(task):
    with pytest.raises(TypeError, match="no_such_option"):
        task.sampler(no_such_option=1)
    with pytest.raises(TypeError, match="has no option 'no_such_option'"):
        tasks.make_task(task.name, no_such_option=1)


def test_docstring_says_what_the_spec_says(task):
    text = " ".join((task.sampler.__doc__ or "").split())
    assert "step 0" in text
    if task.name == "repeat_copy_dnc":
        return  # its class is documented at the sizes of repeat_copy
    chance, best = (re.search(rf"{word}: ([0-9.]+) ([a-z% ]+?)[,.]", text) for word in ("Chance", "Best"))
    assert chance is not None
    assert best is not None
    assert (chance[1], chance[2]) == (f"{task.chance:.1f}", task.unit)
    assert (best[1], best[2]) == (f"{task.best:.1f}", task.unit)
    assert f"Paper: {task.paper}" in text


@pytest.mark.parametrize(
    ("name", "option"), [("copy", "rounds"), ("stack_anbmcnm", "strings"), ("stack_reversal", "strings")]
)
def test_several_strings_or_rounds_in_a_row_are_solvable_too(name, option):
    options: dict[str, Any] = {option: 3}
    sampler = tasks.make_task(name, **options)
    batch = draw(sampler, 11, 20)
    assert torch.equal(oracle_answers(name, sampler, batch).to(batch.targets), batch.targets)


@pytest.mark.parametrize("name", [name for name, task in tasks.TASKS.items() if task.spec.feedback and not task.data])
def test_feedback_shows_the_answer_before_and_none_at_first(name):
    sampler = tasks.make_task(name)
    batch = draw(sampler, 12, 20)
    spec = sampler.spec
    shown, answered = batch.inputs[..., spec.columns(spec.feedback)], spec.shown(batch.targets)
    second = batch.mask[:, 1:] & batch.mask[:, :-1]
    assert second.any()
    assert torch.equal(shown[:, 1:][second], answered[:, :-1][second])
    if name == "shortest_path":
        assert not shown[:, 1:][batch.mask[:, 1:] & ~second].any()


@pytest.mark.parametrize("name", ["copy", "reverse", "repeat_copy", "associative_recall", "priority_sort", "key_value"])
def test_equal_lengths_need_no_padding(name):
    options: dict[str, Any] = {"min_items": 5} if name == "priority_sort" else {}
    sampler = tasks.make_task(name, equal_lengths=True, **options)
    lengths = [draw(sampler, seed, 6).lengths for seed in range(4)]
    assert all((one == one[0]).all() for one in lengths)
    assert len({int(one[0]) for one in lengths}) > 1


def test_table_in_the_documentation_holds(task):
    page = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text(encoding="utf-8")
    row = (f"`{task.name}`", task.description, f"{task.chance:.1f}", f"{task.best:.1f}", task.unit, task.paper)
    assert f"| {' | '.join(row)} |" in page
