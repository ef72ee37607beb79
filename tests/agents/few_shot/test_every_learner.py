"""What holds for every learner of episodes; a new learner adds a row."""

import math

import pytest
import torch

from lukasa.agents.few_shot import LEARNERS
from tests.agents.few_shot.rows import ROWS, make, random_episode


def those(fits):
    """The test runs for those rows that it holds for."""
    rows = {name: row for name, row in ROWS.items() if fits(row)}
    return pytest.mark.parametrize("row", rows.values(), ids=rows)


EVERY = those(lambda row: True)


def test_every_learner_has_a_row():
    assert {row.learner for row in ROWS.values()} == set(LEARNERS)


@EVERY
@pytest.mark.parametrize(("shots", "queries"), [(1, 1), (4, 5)])
def test_answers_have_a_column_for_each_way(row, shots, queries):
    support, asked, _ = random_episode(shots=shots, queries=queries)
    logits = make(row)(support, asked)
    assert logits.shape == (2, queries, 3)
    assert logits.isfinite().all()


@EVERY
def test_episodes_of_a_batch_do_not_mix(row):
    learner = make(row)
    support, queries, _ = random_episode()
    other, others, _ = random_episode(seed=1)
    together = learner(torch.cat([support, other]), torch.cat([queries, others]))
    torch.testing.assert_close(together, torch.cat([learner(support, queries), learner(other, others)]))


@EVERY
def test_queries_are_answered_each_on_its_own(row):
    learner = make(row)
    support, queries, _ = random_episode()
    some = torch.tensor([2, 0, 3] if row.alone else [2, 0, 3, 1])
    torch.testing.assert_close(learner(support, queries[:, some]), learner(support, queries)[:, some])


@those(lambda row: row.symmetric)
def test_permuted_classes_permute_the_answers(row):
    learner = make(row)
    support, queries, _ = random_episode()
    order = torch.tensor([2, 0, 1])
    torch.testing.assert_close(learner(support[:, order], queries), learner(support, queries)[..., order])


@EVERY
def test_loss_is_the_mean_cross_entropy_of_the_answers(row):
    learner = make(row)
    support, queries, targets = random_episode()
    shares = learner(support, queries).detach().softmax(-1)
    expected = -sum(math.log(shares[b, m, targets[b, m]]) for b in range(2) for m in range(4)) / 8
    assert learner.loss(support, queries, targets).item() == pytest.approx(expected, rel=1e-12)


@EVERY
def test_same_state_gives_the_same_answers(row):
    first, second = make(row), make(row, seed=1)
    second.load_state_dict(first.state_dict())
    support, queries, _ = random_episode()
    assert torch.equal(first(support, queries), second(support, queries))


@EVERY
def test_evaluation_draws_nothing(row):
    support, queries, _ = random_episode()
    learner = make(row)
    before = torch.get_rng_state()
    learner(support, queries)
    assert torch.equal(torch.get_rng_state(), before)


@those(lambda row: LEARNERS[row.learner].learns_from_episodes)
def test_all_parameters_learn(row):
    learner = make(row).train()
    learner.loss(*random_episode()).backward()
    moved = {name: one.grad is not None and bool(one.grad.any()) for name, one in learner.named_parameters()}
    assert all(moved.values()), moved


@those(lambda row: row.untrained)
def test_drawing_shown_again_is_known(row):
    support, _, _ = random_episode(shots=1)
    answers = make(row)(support, support.squeeze(2))
    assert torch.equal(answers.argmax(-1), torch.arange(3).expand(2, -1))


@EVERY
@pytest.mark.parametrize(
    ("support", "queries"),
    [
        ((2, 3, 1, 20, 20), (2, 4, 16, 16)),
        ((2, 3, 1, 16, 16), (2, 4, 20, 20)),
        ((2, 3, 1, 16, 16), (2, 4, 3, 16, 16)),
        ((3, 1, 16, 16), (4, 16, 16)),
        ((2, 3, 1, 16, 16), (1, 4, 16, 16)),
    ],
)
def test_what_is_no_episode_is_refused_with_both_sides(row, support, queries):
    with pytest.raises(ValueError, match=r"are no episodes: expected \[B, N, K, 16, 16\] and \[B, M, 16, 16\]"):
        make(row)(torch.zeros(support).double(), torch.zeros(queries).double())
