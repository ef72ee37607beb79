"""Few-shot episodes from any array: who is shown when, under which label, and what that is worth."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Generator
from torch.nn import functional as F

from lukasa.tasks.batch import Batch
from lukasa.tasks.episodes import Presentations, Shots, accuracy_by_presentation, presentation_numbers
from lukasa.tasks.examples import Augmentation, Examples
from lukasa.tasks.sinusoids import SinusoidStream, sinusoids

NUMBERED = torch.stack(torch.meshgrid(torch.arange(30.0), torch.arange(12.0), indexing="ij"), -1)
"""[30, 12, 2]: each example is its class and its instance."""

EXAMPLES = Examples(NUMBERED, "numbers")

LABELS: list[dict[str, Any]] = [{"labels": "one-hot"}, {"labels": "one-hot", "label_values": 9}, {"labels": "string"}]


def seed(number: int) -> Generator:
    return Generator().manual_seed(number)


def episodes(count: int = 20, **options: Any) -> tuple[Presentations, Batch]:
    sampler = Presentations(examples=EXAMPLES, **options)
    return sampler, sampler.sample(count, seed(0))


def oracle(sampler: Presentations, batch: Batch) -> torch.Tensor:
    """Answers, [B, T, S], of one who keeps each class with the label shown after it, and else draws an unused one."""
    target, answers = sampler.spec.target, torch.zeros_like(batch.targets)
    for row, inputs in enumerate(batch.inputs):
        known: dict[float, list[int]] = {}
        for step, one in enumerate(inputs):
            if step:
                known[float(inputs[step - 1, 0])] = one[2:].view(-1, target.classes).argmax(-1).tolist()
            unused = [value for value in range(target.classes) if [value] not in known.values()]
            guess = [*unused, 0][:1] if target.symbols == 1 else [0] * target.symbols
            answers[row, step] = torch.tensor(known.get(float(one[0]), guess))
    return answers


def outputs_of(sampler: Presentations, answers: torch.Tensor) -> torch.Tensor:
    return F.one_hot(answers, sampler.spec.target.classes).flatten(-2).float()


@pytest.mark.parametrize("labels", LABELS)
def test_every_class_is_presented_as_often_by_other_instances(labels):
    _, batch = episodes(classes=4, presentations=7, **labels)
    for shown in batch.inputs[..., :2]:
        classes, counts = shown[:, 0].unique(return_counts=True)
        assert len(classes) == 4
        assert (counts == 7).all()
        assert len(shown.unique(dim=0)) == 28


@pytest.mark.parametrize("labels", LABELS)
def test_label_is_shown_one_step_late_and_none_at_first(labels):
    sampler, batch = episodes(classes=4, presentations=7, **labels)
    shown = batch.inputs[..., sampler.spec.columns("label")]
    assert not shown[:, 0].any()
    assert torch.equal(shown[:, 1:], sampler.spec.shown(batch.targets)[:, :-1])


@pytest.mark.parametrize("labels", LABELS)
def test_classes_have_different_labels_that_last_for_the_episode(labels):
    _, batch = episodes(classes=4, presentations=7, **labels)
    for shown, targets in zip(batch.inputs[..., 0], batch.targets, strict=True):
        pairs = torch.cat([shown[:, None], targets], 1).unique(dim=0)
        assert len(pairs) == len(pairs[:, 1:].unique(dim=0)) == 4


def test_labels_are_assigned_anew_in_each_episode():
    sampler = Presentations(examples=Examples(NUMBERED[:3], "three"), classes=3, presentations=1)
    batch = sampler.sample(300, seed(0))
    of_class_0 = batch.targets[batch.inputs[..., 0] == 0]
    assert torch.bincount(of_class_0.flatten(), minlength=3).min() > 70  # a hundred of each is expected


def test_labels_are_drawn_among_all_values():
    _, batch = episodes(300, classes=3, presentations=1, label_values=9)
    assert torch.bincount(batch.targets.flatten(), minlength=9).min() > 70  # a hundred of each is expected
    _, batch = episodes(300, classes=3, presentations=1, labels="string")
    for letters in batch.targets.flatten(0, 1).unbind(-1):
        assert torch.bincount(letters, minlength=5).min() > 130  # 180 of each is expected


def test_order_of_presentations_is_shuffled():
    _, batch = episodes(classes=4, presentations=7)
    assert len(batch.inputs[:, :6, 0].sub(batch.inputs[:, :1, 0]).ne(0).unique(dim=0)) > 10


@pytest.mark.parametrize("labels", LABELS)
def test_oracle_earns_the_best_score(labels):
    sampler, batch = episodes(400, classes=4, presentations=3, **labels)
    outputs = outputs_of(sampler, oracle(sampler, batch))
    assert sampler.spec.score(outputs, batch).value == pytest.approx(sampler.spec.best, abs=1.5)
    after_first = accuracy_by_presentation(sampler.spec, outputs, batch)[:, 1:]
    assert (after_first == 100).all()


def test_oracle_one_step_off_earns_about_chance():
    sampler, batch = episodes(400, classes=4, presentations=3, label_values=8)
    late = oracle(sampler, batch).roll(1, 1)
    late = late[:, :, 0].gather(1, torch.rand(late.shape[:2], generator=seed(1)).argsort(1)).unsqueeze(-1)
    outputs = outputs_of(sampler, (late + torch.randint(0, 8, (400, 1, 1), generator=seed(2))) % 8)
    assert sampler.spec.score(outputs, batch).value == pytest.approx(sampler.spec.chance, abs=2)


def test_presentations_are_counted_by_label():
    targets = torch.tensor([[1, 0, 1, 1, 0]]).unsqueeze(-1)
    assert presentation_numbers(targets).tolist() == [[1, 1, 2, 3, 2]]


def test_accuracy_by_presentation_is_the_share_of_classes_right():
    sampler = Presentations(examples=EXAMPLES, classes=2, presentations=2)
    targets = torch.tensor([[1, 0, 1, 0], [0, 0, 1, 1]]).unsqueeze(-1)
    answers = torch.tensor([[0, 0, 1, 0], [1, 0, 0, 0]]).unsqueeze(-1)
    batch = Batch(torch.zeros(2, 4, 4), targets, torch.ones(2, 4, dtype=torch.bool), torch.tensor([4, 4]))
    found = accuracy_by_presentation(sampler.spec, outputs_of(sampler, answers), batch)
    assert found.tolist() == [[50, 100], [0, 50]]


def test_width_of_one_hot_labels_stays_when_classes_change():
    sampler = Presentations(examples=EXAMPLES, classes=3, label_values=9)
    more = replace(sampler, classes=9)
    assert (sampler.spec.input_size, sampler.spec.output_size) == (more.spec.input_size, more.spec.output_size)


def test_support_and_query_are_of_the_same_classes_and_share_no_example():
    episode = Shots(examples=EXAMPLES, ways=4, shots=2, queries=3).sample(20, seed(0))
    assert episode.support.shape == (20, 4, 2, 2)
    assert episode.query.shape == (20, 4, 3, 2)
    together = torch.cat([episode.support, episode.query], 2)
    assert (together[..., 0] == episode.classes[..., None]).all()
    for row in together:
        assert len(row.flatten(0, 1).unique(dim=0)) == 4 * 5
        assert len(row[:, 0, 0].unique()) == 4


def test_ways_come_in_random_order():
    episode = Shots(examples=Examples(NUMBERED[:3], "three"), ways=3).sample(60, seed(0))
    assert len(episode.classes.unique(dim=0)) == 6


@pytest.mark.parametrize("sampler", [Presentations(examples=EXAMPLES), Shots(examples=EXAMPLES)])
def test_same_seed_gives_same_episodes_whatever_the_global_state(sampler):
    before = torch.get_rng_state()
    first, again, other = (sampler.sample(3, seed(number)) for number in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (
            Presentations,
            {"classes": 31},
            "classes is 31, but numbers has 30 classes: ask for at most 30, or",
        ),
        (Presentations, {"presentations": 13}, "presentations is 13, but numbers has 12 instances of each class"),
        (Presentations, {"classes": 1}, "classes is 1, expected a whole number of at least 2"),
        (Shots, {"ways": 31}, "ways is 31, but numbers has 30 classes: ask for at most 30"),
        (Shots, {"shots": 8, "queries": 5}, r"shots \+ queries is 13, but numbers has 12 instances of each class"),
        (Shots, {"shots": 0}, "shots is 0, expected a whole number of at least 1"),
    ],
)
def test_episode_that_the_data_cannot_fill_is_refused_with_the_numbers(kind, options, message):
    with pytest.raises(ValueError, match=message):
        kind(examples=EXAMPLES, **options)


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (torch.zeros(3, 4), {}, r"the values are \[3, 4\], expected \[classes, instances, ...\]"),
        (torch.zeros(3, 4, 5), {"turns": True}, r"to turn or augment takes \[classes, instances, H, W\]"),
        (torch.zeros(3, 4, 5, 6), {"turns": True}, "pictures of 5×6 pixels: to turn them takes square ones"),
    ],
)
def test_array_that_is_no_classes_by_instances_is_refused(values, options, message):
    with pytest.raises(ValueError, match=message):
        Examples(values, "mine", **options)


def test_turned_pictures_are_classes_of_their_own():
    pictures = torch.randint(0, 256, (2, 3, 8, 8), generator=seed(0), dtype=torch.uint8)
    examples = Examples(pictures, "noise", turns=True)
    assert examples.classes == 8
    taken = examples.take(torch.tensor([[1, 3], [5, 7]]), torch.tensor([[0, 1], [2, 0]]), seed(0))
    for quarter, instance in enumerate((0, 1, 2, 0)):
        expected = torch.rot90(pictures[1, instance], quarter) / 255
        assert torch.equal(taken.flatten(0, 1)[quarter], expected)


def test_taking_leaves_the_data_as_it_is():
    pictures = torch.randint(0, 256, (2, 3, 8, 8), generator=seed(0), dtype=torch.uint8)
    before = pictures.clone()
    examples = Examples(pictures, "noise", turns=True, augmentation=Augmentation())
    examples.take(torch.arange(8), torch.zeros(8).long(), seed(0))
    assert torch.equal(pictures, before)


def test_augmentation_of_nothing_changes_nothing():
    pictures = torch.rand(5, 9, 7, generator=seed(0))
    torch.testing.assert_close(Augmentation(0, 0, 0)(pictures, seed(1)), pictures)


@pytest.mark.parametrize(
    ("augmentation", "least", "most"),
    [
        # A bar from the centre to the right: how far its centre of mass goes (pixels) with each kind.
        (Augmentation(shift=0.25, rotation=0, stretch=0), 4.5, 5.8),  # a quarter of 20 pixels each way
        (Augmentation(shift=0, rotation=90, stretch=0), 2.8, 3.2),  # as far down as it was to the right
        (Augmentation(shift=0, rotation=0, stretch=0.5), 1.0, 3.5),
    ],
)
def test_augmentation_reaches_as_far_as_it_says(augmentation, least, most):
    bar = torch.zeros(20, 20)
    bar[9:11, 10:16] = 1.0
    pictures = augmentation(bar.expand(300, 20, 20), seed(0))
    place = torch.arange(20.0) - 9.5
    mass = pictures.sum((1, 2))
    across, down = (pictures.sum(1) * place).sum(1) / mass, (pictures.sum(2) * place).sum(1) / mass
    moved = torch.stack([across - 3.0, down]).abs()
    assert least <= moved.max() <= most
    if augmentation.rotation:
        assert torch.hypot(across, down).sub(3.0).abs().max() < 0.3  # turned about the centre


def test_unusable_augmentation_is_refused():
    with pytest.raises(ValueError, match=r"stretch is 1\.5, expected from 0 to 0\.9"):
        Augmentation(stretch=1.5)


def test_sinusoids_serve_as_shots_of_regression():
    examples = Examples(sinusoids(50, 12, seed(0)), "sinusoids")
    episode = Shots(examples=examples, ways=1, shots=2, queries=10).sample(8, seed(0))
    (x, y), (far, expected) = (points[:, 0].unbind(-1) for points in episode[:2])
    # Two points decide a cos x + b sin x.
    weights = torch.linalg.solve(torch.stack([x.cos(), x.sin()], -1).double(), y.double())
    predicted = weights[:, :1] * far.cos() + weights[:, 1:] * far.sin()
    torch.testing.assert_close(predicted.float(), expected, atol=2e-2, rtol=0)


def test_sinusoid_is_shown_one_step_late():
    batch = SinusoidStream(points=6).sample(4, seed(0))
    assert not batch.inputs[:, 0, 1].any()
    assert torch.equal(batch.inputs[:, 1:, 1], batch.targets[:, :-1, 0])


def test_chance_of_the_sinusoid_stream_is_what_it_says():
    sampler = SinusoidStream(points=20)
    batch = sampler.sample(20_000, seed(0))
    guess = (0.1 + 5.0) / torch.pi * batch.inputs[..., :1].cos()
    assert sampler.spec.score(guess, batch).value == pytest.approx(sampler.spec.chance, rel=0.02)
    assert sampler.spec.chance == pytest.approx(60.1, abs=0.05)
    assert sampler.spec.best == pytest.approx(3.0, abs=0.05)
