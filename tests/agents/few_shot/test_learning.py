import copy
import math

import pytest
import torch
from torch import Generator, nn

from lukasa.agents.few_shot import Learner, episode_trainer, evaluate_episodes, make_learner
from lukasa.agents.few_shot.learning import on_learner
from lukasa.agents.learning import DivergenceError, make_optimizer, make_schedule
from lukasa.ground.statistics import wilson_interval
from lukasa.tasks.episodes import Shots
from lukasa.tasks.examples import Augmentation, Examples
from lukasa.tasks.omniglot_strokes import stroke_characters


def noise_shots(ways=3, shots=1, queries=2, shape=(4,)):
    values = torch.rand(12, 6, *shape, generator=Generator().manual_seed(0))
    return Shots(examples=Examples(values, "noise"), ways=ways, shots=shots, queries=queries)


class Fixed(Learner):
    """Answers class 0 always, or right with the probability of a coin."""

    def __init__(self, confidence=1.0):
        super().__init__((4,))
        self.confidence = confidence
        self.modes = []

    def forward(self, support, queries):
        self.modes.append(self.training)
        return self.confidence * torch.eye(support.shape[1])[0].expand(*queries.shape[:2], -1)


class Drawing(Learner):
    """Adds noise of its own in training."""

    def __init__(self):
        super().__init__((4,))
        self.matrix = nn.Linear(4, 4)

    def forward(self, support, queries):
        known, asked = self.matrix(support.mean(2)), self.matrix(queries)
        return asked @ known.transpose(1, 2) + (torch.randn(()) if self.training else 0) * known.norm(dim=-1)[:, None]


def make_trainer(learner=None, shots=None, seed=0, *, cosine=False, lr=1e-2, **options):
    torch.manual_seed(seed)
    learner = learner or make_learner("prototypical", (4,), 3, encoder="linear", channels=6)
    optimizer = make_optimizer("adam", learner.parameters(), lr)
    schedule = make_schedule(optimizer, "cosine", batches=20, warmup=3) if cosine else None
    generator = Generator().manual_seed(5)
    options = {"batch_size": 4, **options}
    return episode_trainer(learner, shots or noise_shots(), optimizer, generator, schedule=schedule, **options)


def test_queries_are_posed_with_the_places_of_their_classes():
    episode = noise_shots(queries=2).sample(3, Generator().manual_seed(0))
    support, queries, targets = on_learner(Fixed(), episode)
    assert torch.equal(support, episode.support)
    assert targets.shape == queries.shape[:2] == (3, 6)
    for row in range(3):
        for m, place in enumerate(targets[row].tolist()):
            assert any(torch.equal(queries[row, m], one) for one in episode.query[row, place])


def test_step_reports_the_batch_before_the_update():
    trainer = make_trainer()
    twin = copy.deepcopy(trainer.learner.module)
    episode = trainer.source.shots.sample(4, Generator().manual_seed(5))
    support, queries, targets = on_learner(twin, episode)
    result = trainer.step()
    assert result.loss == pytest.approx(float(twin.loss(support, queries, targets).detach()), rel=1e-6)
    right = (twin(support, queries).argmax(-1) == targets).double().mean()
    assert result.score.value == pytest.approx(100 * float(right))
    assert (result.lr, trainer.batches, trainer.done) == (1e-2, 1, 4)


@pytest.mark.parametrize("learner", [None, Drawing])
def test_state_put_back_gives_the_same_losses(learner):
    first, second = (make_trainer(learner and learner(), seed=seed, cosine=True, clip_norm=0.5) for seed in (0, 1))
    for _ in range(3):
        first.step()
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    after = [first.step() for _ in range(4)]
    torch.manual_seed(99)
    assert [second.step() for _ in range(4)] == after
    assert second.done == 28


def test_state_of_batch_norm_is_part_of_it():
    def build(seed):
        torch.manual_seed(seed)
        shots = noise_shots(shape=(16, 16))
        return make_trainer(make_learner("prototypical", (16, 16), 3, channels=4), shots, seed, batch_size=2)

    first, second = build(0), build(1)
    first.step()
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert first.step() == second.step()
    scores = [
        evaluate_episodes(one.learner.module, one.source.shots, 8, Generator().manual_seed(0))
        for one in (first, second)
    ]
    assert scores[0] == scores[1]


def test_generator_alone_decides_and_global_state_stays():
    results = []
    for seed in (1, 2):
        trainer = make_trainer(Drawing())
        trainer.learner.module.load_state_dict(Drawing().state_dict() | {"matrix.weight": torch.eye(4)})
        torch.nn.init.zeros_(trainer.learner.module.get_parameter("matrix.bias"))
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        results.append([trainer.step() for _ in range(2)])
        assert torch.equal(torch.get_rng_state(), before)
    assert results[0] == results[1]


def test_schedule_counts_batches_and_clipping_bounds_the_update():
    trainer = make_trainer(cosine=True)
    rates = [trainer.step().lr for _ in range(4)]
    assert rates == pytest.approx([0.0025, 0.005, 0.0075, 0.01])
    clipped = make_trainer(clip_norm=1e-3)
    clipped.step()
    gradients = [one.grad for one in clipped.learner.module.parameters() if one.grad is not None]
    assert math.sqrt(sum(float(one.square().sum()) for one in gradients)) == pytest.approx(1e-3, rel=1e-3)


def test_not_a_number_stops_names_the_part_and_changes_nothing():
    trainer = make_trainer()
    trainer.step()
    with torch.no_grad():
        trainer.learner.module.get_parameter("encoder.matrix.weight")[0, 0] = math.inf
    before = copy.deepcopy(trainer.learner.module.state_dict())
    with pytest.raises(DivergenceError, match=r"the loss is (nan|inf) at batch 2 in parameter group encoder"):
        trainer.step()
    assert trainer.batches == 1
    assert all(torch.equal(one, before[name]) for name, one in trainer.learner.module.state_dict().items())


def test_infinite_gradient_of_a_finite_loss_stops_too():
    trainer = make_trainer()
    trainer.learner.module.get_parameter("encoder.matrix.bias").register_hook(lambda gradient: gradient + math.inf)
    with pytest.raises(DivergenceError, match="a gradient is not finite at batch 1 in parameter group encoder"):
        trainer.step()


@pytest.mark.parametrize(
    ("learner", "options", "message"),
    [
        ("nearest", {}, "NearestNeighbour learns nothing from episodes"),
        ("prototypical", {"batch_size": 0}, "batch_size is 0: expected at least 1"),
        ("prototypical", {"shots": noise_shots(shape=(5,))}, r"takes examples of \(4,\), the episodes have \(5,\)"),
    ],
)
def test_training_that_cannot_be_is_refused(learner, options, message):
    with pytest.raises(ValueError, match=message):
        make_trainer(make_learner(learner, (4,), 3, encoder="linear"), **options)


def test_evaluation_is_the_mean_over_episodes_with_its_interval():
    class Coin(Fixed):
        """Right in every second episode of two."""

        def forward(self, support, queries):
            right = torch.eye(2).repeat_interleave(queries.shape[1] // 2, 0)  # [M, N]
            return torch.stack([right if row % 2 else 1 - right for row in range(len(support))])

    shots = noise_shots(ways=2)
    result = evaluate_episodes(Coin(), shots, 100, Generator().manual_seed(0), batch_size=10)
    assert (result.score, result.count) == (50.0, 100)
    assert result.interval == pytest.approx([100 * end for end in wilson_interval(0.5, 100)])
    worse = math.log(1 + math.e)
    assert result.loss == pytest.approx((worse + worse - 1) / 2, rel=1e-6)


def test_last_batch_may_be_smaller_and_counts_for_its_size():
    shots, seen = noise_shots(), []
    result = evaluate_episodes(
        Fixed(), shots, 7, Generator().manual_seed(0), batch_size=3, observe=lambda *parts: seen.append(parts)
    )
    assert [len(logits) for logits, _ in seen] == [3, 3, 1]
    assert seen[0][1].classes.shape == (3, 3)
    assert result.score == pytest.approx(100 / 3)
    assert result.interval == pytest.approx([100 * end for end in wilson_interval(1 / 3, 7)])  # all alike
    assert result.loss == pytest.approx(math.log(math.e + 2) - 1 / 3, rel=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_is_in_evaluation_mode_and_leaves_the_mode(training):
    learner = Fixed()
    learner.train(training)
    evaluate_episodes(learner, noise_shots(), 2, Generator().manual_seed(0))
    assert learner.modes == [False]
    assert learner.training == training


def test_step_is_in_training_mode():
    trainer = make_trainer()
    trainer.learner.module.eval()
    trainer.step()
    assert trainer.learner.module.training


def test_no_episode_to_score_is_refused():
    with pytest.raises(ValueError, match="0 episodes in batches of 16 cannot be scored"):
        evaluate_episodes(Fixed(), noise_shots(), 0, Generator())


@pytest.mark.parametrize(
    ("name", "options", "reached"),
    [
        ("prototypical", {}, 75),
        ("matching", {"scale": 10.0}, 70),
        ("matching", {"context": True}, 65),
    ],
)
def test_metric_learners_name_unseen_characters_after_seconds_of_training(name, options, reached):
    drawings = stroke_characters(160, 20)
    seen = Examples(drawings[:128], "strokes", turns=True, augmentation=Augmentation())
    unseen = Examples(drawings[128:], "strokes")
    torch.manual_seed(0)
    learner = make_learner(name, (20, 20), 5, channels=16, **options)
    shots = Shots(examples=seen, ways=10, shots=1, queries=2)
    trainer = make_trainer(learner, shots, lr=3e-3, batch_size=2)
    for _ in range(60):
        trainer.step()
    result = evaluate_episodes(
        learner, Shots(examples=unseen, ways=5, shots=1, queries=2), 200, Generator().manual_seed(1), batch_size=50
    )
    assert result.score > reached  # chance is 20, pixels about 60
