import pytest
import torch
from torch import Generator

from lukasa.agents.few_shot import NearestNeighbour, evaluate_episodes, make_encoder, nearest_earlier, train_classifier
from lukasa.agents.few_shot.neighbours import votes
from lukasa.tasks.episodes import Presentations, Shots, accuracy_by_presentation
from lukasa.tasks.examples import Examples
from lukasa.tasks.omniglot_strokes import stroke_characters
from tests.agents.few_shot.rows import random_episode


def winner_by_loops(distances, labels, k):
    """The label that most of the k nearest have, of several the one with the nearest example."""
    order = sorted(range(len(labels)), key=lambda e: (distances[e], e))[:k]
    counts = {}
    for e in order:
        counts[labels[e]] = counts.get(labels[e], 0) + 1
    return next(labels[e] for e in order if counts[labels[e]] == max(counts.values()))


@pytest.mark.parametrize("k", [1, 2, 3, 5, 100])
def test_most_of_the_nearest_decide_and_the_nearest_of_equals(k):
    generator = Generator().manual_seed(0)
    # Few different distances, so that ties are many.
    distances = torch.randint(6, (3, 40, 8), generator=generator).double()
    labels = torch.randint(3, (3, 8), generator=generator)
    found = votes(distances, labels, 3, k).argmax(-1)
    for b in range(3):
        expected = [winner_by_loops(row.tolist(), labels[b].tolist(), k) for row in distances[b]]
        assert found[b].tolist() == expected


def test_examples_infinitely_far_have_no_vote():
    distances = torch.tensor([[[torch.inf, 2.0, torch.inf, 1.0]]])
    labels = torch.tensor([[0, 1, 0, 2]])
    assert votes(distances, labels, 3, 3).argmax(-1).item() == 2
    nobody = votes(torch.full((1, 1, 4), torch.inf), labels, 3, 3)
    assert (nobody == nobody[0, 0, 0]).all()


def test_votes_are_whole_and_their_order_takes_less_than_one_off():
    support, queries, _ = random_episode(shots=3)
    answers = NearestNeighbour((16, 16), neighbours=5)(support, queries)
    assert (answers.ceil().sum(-1) == 5).all()


def test_pixels_beat_chance_on_generated_characters():
    examples = Examples(stroke_characters(60, 20), "strokes")
    shots = Shots(examples=examples, ways=5, shots=1, queries=2)
    result = evaluate_episodes(NearestNeighbour((20, 20)), shots, 200, Generator().manual_seed(0))
    assert 45 < result.score < 90  # chance is 20


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("labels", ["one-hot", "string"])
def test_stream_is_answered_with_the_label_of_the_nearest_before(labels, k):
    generator = Generator().manual_seed(0)
    task = Presentations(
        examples=Examples(torch.rand(20, 6, 4, generator=generator), "noise"), classes=4, presentations=3, labels=labels
    )
    batch = task.sample(6, generator)
    outputs = nearest_earlier(task.spec, batch, neighbours=k)
    points, answers = batch.inputs[..., :4].double(), task.spec.answers(outputs)
    for b in range(6):
        names = [tuple(one.tolist()) for one in batch.targets[b]]
        for t in range(1, 12):
            distances = [float((points[b, t] - points[b, s]).square().sum()) for s in range(t)]
            assert tuple(answers[b, t].tolist()) == winner_by_loops(distances, names[:t], k)
    assert not outputs[:, 0].any()


def test_stream_never_looks_at_targets_or_later_steps():
    examples = Examples(torch.rand(20, 6, 4, generator=Generator().manual_seed(0)), "noise")
    task = Presentations(examples=examples, classes=4, presentations=3)
    batch = task.sample(6, Generator().manual_seed(1))
    outputs = nearest_earlier(task.spec, batch)
    assert torch.equal(nearest_earlier(task.spec, batch._replace(targets=torch.zeros_like(batch.targets))), outputs)
    later = batch.inputs.clone()
    later[:, 7:] = torch.rand_like(later[:, 7:])
    assert torch.equal(nearest_earlier(task.spec, batch._replace(inputs=later))[:, :7], outputs[:, :7])


def test_stream_of_classes_far_apart_is_named_from_the_second_presentation_on():
    places = 100 * torch.eye(8)[:, None] + torch.rand(8, 10, 8, generator=Generator().manual_seed(0))
    task = Presentations(examples=Examples(places, "far apart"), classes=5)
    batch = task.sample(20, Generator().manual_seed(1))
    percent = accuracy_by_presentation(task.spec, nearest_earlier(task.spec, batch), batch).mean(0)
    assert percent[1:].tolist() == [100.0] * 9
    assert percent[0] < 20  # a class not seen yet is taken for one that was


def test_deep_features_of_a_classifier_beat_pixels():
    examples = Examples(stroke_characters(128, 20), "strokes")
    seen, unseen = (Examples(part, "strokes") for part in (examples.values[:96], examples.values[96:]))
    torch.manual_seed(0)
    deep = NearestNeighbour((20, 20), encoder="conv4", channels=8)
    told = []
    last = train_classifier(deep.encoder, seen, Generator().manual_seed(0), batches=120, lr=3e-3, observe=told.append)
    assert (len(told), told[-1]) == (120, last)
    assert last.loss < 0.9 * told[0].loss
    assert not deep.encoder.training
    shots = Shots(examples=unseen, ways=5, shots=1, queries=2)
    scores = [
        evaluate_episodes(learner, shots, 200, Generator().manual_seed(1)).score
        for learner in (deep, NearestNeighbour((20, 20)))
    ]
    assert scores[0] > scores[1] + 3

    task = Presentations(examples=unseen)
    batch = task.sample(50, Generator().manual_seed(2))
    second = [
        float(accuracy_by_presentation(task.spec, nearest_earlier(task.spec, batch, encoder=one), batch).mean(0)[1])
        for one in (deep.encoder, None)
    ]
    assert second[0] > second[1] + 3


def test_classifier_is_decided_by_generator_and_encoder_alone():
    examples = Examples(torch.rand(5, 4, 6, generator=Generator().manual_seed(0)), "noise")
    results = []
    for seed in (1, 2):
        torch.manual_seed(0)
        encoder = make_encoder("linear", (6,), 4)
        torch.manual_seed(seed)
        told = []
        train_classifier(encoder, examples, Generator().manual_seed(3), batches=4, batch_size=8, observe=told.append)
        results.append(told)
    assert results[0] == results[1]


@pytest.mark.parametrize(("name", "batches"), [("identity", 5), ("linear", 0)])
def test_classifier_that_cannot_be_trained_is_refused(name, batches):
    examples = Examples(torch.rand(5, 4, 6), "noise")
    with pytest.raises(ValueError, match="expected an encoder with parameters, such as 'conv4', and at least 1 batch"):
        train_classifier(make_encoder(name, (6,)), examples, Generator(), batches=batches)
