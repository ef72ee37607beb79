"""A class memory: learning, naming among all classes, forgetting, growing, and surviving a restart."""

import os
from pathlib import Path

import pytest
import torch

from lukasa.agents.few_shot import (
    MAML,
    ClassMemory,
    PrototypicalNetwork,
    embed_all,
    evaluate_episodes,
    lifelong,
    make_encoder,
)
from lukasa.tasks.episodes import Shots
from lukasa.tasks.examples import Examples

SIZE = 6


def points(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, SIZE, generator=torch.Generator().manual_seed(seed))


def memory_of(slots: int, **options) -> ClassMemory:
    return ClassMemory(make_encoder("identity", (SIZE,)), slots, **options)


def nearest_class(known, classes, queries):
    """One at a time, in float64."""
    distances = [[float((query - one).double().square().sum()) for one in known] for query in queries]
    return [int(classes[row.index(min(row))]) for row in distances]


def test_class_is_the_mean_of_its_examples_whenever_they_come():
    shown, classes = points(40), torch.arange(40) % 4 * 10
    memory = memory_of(10)
    memory.learn(shown[:7], classes[:7])
    memory.learn(shown[7:8], classes[7:8])
    memory.learn(shown[8:], classes[8:])
    means = torch.stack([shown[classes == one].mean(0) for one in (0, 10, 20, 30)])
    torch.testing.assert_close(memory.memory.tensors()["rows"][0], means)
    assert memory.used == 4
    assert memory.classes.tolist() == [0, 10, 20, 30]


@pytest.mark.parametrize("keep", ["means", "instances"])
@pytest.mark.parametrize("index", ["exact", "faiss", "lsh", "auto"])
def test_nearest_in_squared_distance_names_a_query(keep, index):
    known, queries = points(60) + 3, points(20, 1) + 3
    classes = torch.arange(60) + 100
    memory = memory_of(64, keep=keep, index=index, candidates=60)
    memory.learn(known, classes)
    assert memory.answer(queries).tolist() == nearest_class(known, classes, queries)


def test_distance_decides_among_the_candidates_and_not_the_angle():
    memory = memory_of(4, candidates=2)
    memory.learn(torch.eye(SIZE)[:1] * 10, torch.tensor([1]))  # in the query's very direction, but far
    memory.learn(torch.tensor([[1.0, 0.5, 0, 0, 0, 0]]), torch.tensor([2]))
    query = torch.eye(SIZE)[:1]
    assert memory.answer(query).tolist() == [2]
    memory.candidates = 1
    assert memory.answer(query).tolist() == [1]


def test_agrees_with_a_prototypical_network_on_an_episode():
    learner = PrototypicalNetwork((16, 16), channels=4).eval()
    support, queries = torch.rand(1, 5, 3, 16, 16), torch.rand(1, 30, 16, 16)
    memory = ClassMemory(learner.encoder, 5)
    memory.learn(support[0].flatten(0, 1), torch.arange(5).repeat_interleave(3))
    assert memory.answer(queries[0]).tolist() == learner(support, queries)[0].argmax(-1).tolist()


def test_neighbours_vote_and_the_nearest_breaks_a_tie():
    memory = memory_of(8, keep="instances")
    line = torch.tensor([1.0, 1.2, 1.3, 3.0])[:, None] * torch.ones(SIZE)
    memory.learn(line, torch.tensor([4, 5, 5, 6]))
    query = 0.9 * torch.ones(1, SIZE)
    assert [memory.answer(query, neighbours).item() for neighbours in (1, 2, 3, 8)] == [4, 4, 5, 5]


def test_where_fewer_are_remembered_the_rest_is_nobody():
    memory = memory_of(8)
    memory.learn(points(2), torch.tensor([3, 4]))
    near = memory.nearest(points(1, 1), 4)
    assert near.classes[0, 2:].tolist() == [-1, -1]
    assert near.distances.isinf().tolist() == [[False, False, True, True]]


def test_full_memory_forgets_the_class_that_was_not_used_for_longest():
    shown = points(5)
    memory = memory_of(3, candidates=1)
    for number in range(3):
        memory.learn(shown[number : number + 1], torch.tensor([number]))
    memory.answer(shown[:1])
    memory.learn(shown[3:4], torch.tensor([3]))
    assert memory.classes.tolist() == [0, 2, 3]
    memory.learn(shown[2:3], torch.tensor([2]))
    memory.learn(shown[4:5], torch.tensor([4]))
    assert memory.classes.tolist() == [2, 3, 4]
    assert memory.used == 3


def test_only_what_is_given_as_nearest_counts_as_used_not_every_candidate():
    shown = points(4)
    memory = memory_of(3, candidates=3)
    for number in range(3):
        memory.learn(shown[number : number + 1], torch.tensor([number]))
    memory.answer(shown[:1])
    memory.learn(shown[3:], torch.tensor([3]))
    assert memory.classes.tolist() == [0, 2, 3]


def test_class_that_is_learned_again_makes_no_room_for_those_that_come_with_it():
    shown = points(4)
    memory = memory_of(2)
    memory.learn(shown[:1], torch.tensor([5]))
    memory.learn(shown[1:2], torch.tensor([6]))
    memory.learn(shown[2:], torch.tensor([5, 7]))
    assert memory.classes.tolist() == [5, 7]
    assert memory.nearest((shown[:1] + shown[2:3]) / 2).distances.item() == pytest.approx(0, abs=1e-6)


def test_forgotten_class_begins_anew():
    shown = points(4)
    memory = memory_of(1)
    for place, number in ((0, 5), (1, 6), (2, 5)):
        memory.learn(shown[place : place + 1], torch.tensor([number]))
    assert memory.classes.tolist() == [5]
    assert memory.nearest(shown[2:3]).distances.item() == pytest.approx(0, abs=1e-6)


def test_more_at_once_than_there_is_room_for_forgets_the_earlier():
    shown = points(10)
    for keep in ("means", "instances"):
        memory = memory_of(4, keep=keep)
        memory.learn(shown, torch.arange(10))
        assert memory.classes.tolist() == [6, 7, 8, 9]


def test_how_many_are_learned_or_named_at_once_changes_nothing(monkeypatch):
    shown, classes, queries = points(50), torch.arange(50) % 7, points(30, 1)
    answers = []
    for at_once in (3, 128):
        monkeypatch.setattr(lifelong, "AT_ONCE", at_once)
        memory = memory_of(20)
        memory.learn(shown, classes)
        answers.append(memory.answer(queries).tolist())
    assert answers[0] == answers[1]


def test_grown_memory_has_room_and_forgot_nothing():
    shown = points(9)
    memory = memory_of(3)
    memory.learn(shown[:3], torch.arange(3))
    memory.grow(8)
    memory.learn(shown[3:8], torch.arange(3, 8))
    assert (memory.slots, memory.used) == (8, 8)
    assert memory.answer(shown[:8]).tolist() == list(range(8))
    memory.learn(2 * shown[:1], torch.tensor([0]))  # counts have grown with it
    assert memory.nearest(1.5 * shown[:1]).distances.item() == pytest.approx(0, abs=1e-5)
    with pytest.raises(ValueError, match="cannot shrink to 4"):
        memory.grow(4)


def test_halves_take_half_of_the_memory_and_answer_as_well():
    known = points(40) + 2
    memory = memory_of(40, storage="float16")
    memory.learn(known, torch.arange(40))
    assert memory.memory.store.rows.dtype == torch.float16
    assert memory.answer(known).tolist() == list(range(40))


@pytest.mark.parametrize("keep", ["means", "instances"])
def test_saved_memory_goes_on_as_if_nothing_had_been(tmp_path, keep):
    shown, queries = points(30), points(10, 1)
    kept = memory_of(12, keep=keep, candidates=5)
    kept.learn(shown[:20], torch.arange(20) % 9)
    kept.save(tmp_path / "classes")
    loaded = ClassMemory.load(tmp_path / "classes", kept.encoder)
    assert (loaded.keep, loaded.candidates, loaded.slots) == (keep, 5, 12)
    for memory in (kept, loaded):
        memory.learn(shown[20:], torch.arange(20, 30) % 13)  # runs full: forgets the same ones
    assert loaded.classes.tolist() == kept.classes.tolist()
    assert torch.equal(loaded.nearest(queries, 3).distances, kept.nearest(queries, 3).distances)


def test_loaded_memory_may_have_another_index_and_more_slots(tmp_path):
    memory = memory_of(4)
    memory.learn(points(4), torch.arange(4))
    memory.save(tmp_path)
    loaded = ClassMemory.load(tmp_path, memory.encoder, index="faiss", slots=9)
    loaded.learn(points(5, 1), torch.arange(4, 9))
    assert loaded.classes.tolist() == list(range(9))
    assert loaded.answer(points(4)).tolist() == list(range(4))


@pytest.mark.parametrize("broken", ["memory", "table"])
def test_crash_while_saving_leaves_what_was_saved_before(tmp_path, monkeypatch, broken):
    memory = memory_of(4)
    memory.learn(points(2), torch.arange(2))
    memory.save(tmp_path)
    memory.learn(points(2, 1), torch.arange(2, 4))

    synced = []

    def fail(*_):
        synced.append(0)
        if len(synced) == (1 if broken == "memory" else 2):  # the memory's file comes first
            raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="no space left"):
            memory.save(tmp_path)
    assert not list(tmp_path.glob(".*.partial"))
    assert ClassMemory.load(tmp_path, memory.encoder).classes.tolist() == [0, 1]
    memory.save(tmp_path)
    assert ClassMemory.load(tmp_path, memory.encoder).classes.tolist() == [0, 1, 2, 3]
    assert len(list(tmp_path.iterdir())) == 2


def truncate(path: Path):
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path):
    content = bytearray(path.read_bytes())
    place = content.index(torch.arange(50, 54).numpy().tobytes()) if path.suffix == ".pt" else -4096
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "damage", "sentence"),
    [
        ("classes.pt", Path.unlink, "is no class memory: it has no classes.pt"),
        ("classes.pt", truncate, "classes.pt was cut short or altered"),
        ("classes.pt", flip, "classes.pt was altered"),
        ("embeddings-0.memory", Path.unlink, "is not all of a class memory: it has no embeddings-0.memory"),
        ("embeddings-0.memory", truncate, "embeddings-0.memory was cut short"),
        ("embeddings-0.memory", flip, "embeddings-0.memory was altered"),
    ],
)
def test_damaged_memory_is_refused_by_the_file_that_is(tmp_path, name, damage, sentence):
    memory = memory_of(4)
    memory.learn(points(4), torch.arange(50, 54))
    memory.save(tmp_path)
    damage(tmp_path / name)
    with pytest.raises(ValueError, match=sentence):
        ClassMemory.load(tmp_path, memory.encoder)


@pytest.mark.parametrize("other", [("conv4", (16, 16), 4), ("identity", (16, 16))])
def test_memory_of_another_encoder_is_refused(tmp_path, other):
    torch.manual_seed(0)
    encoder = make_encoder("conv4", (16, 16), 4)
    memory = ClassMemory(encoder, 4)
    memory.learn(torch.rand(2, 16, 16), torch.arange(2))
    memory.save(tmp_path)
    assert ClassMemory.load(tmp_path, encoder).used == 2
    with pytest.raises(ValueError, match="was learned with another encoder"):
        ClassMemory.load(tmp_path, make_encoder(*other))


def test_embeddings_are_those_of_evaluation_and_leave_training_as_it_was():
    encoder = make_encoder("conv4", (16, 16), 4).train()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    examples = torch.rand(5, 16, 16)
    together = embed_all(encoder, examples)
    torch.testing.assert_close(together[:1], embed_all(encoder, examples[:1]))
    assert encoder.training
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert not together.requires_grad


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda m: m.learn(points(3), torch.arange(2)), r"examples \[3, 6\] have classes \[2\]"),
        (lambda m: m.learn(points(3), torch.zeros(3)), "of torch.float32: expected a whole number for each"),
        (lambda m: m.learn(points(3), torch.arange(3) - 1), "class -1 cannot be learned: expected numbers from 0"),
        (lambda m: m.learn(points(3)[:, :4], torch.arange(3)), r"examples are \[3, 4\].*expected some of shape \[6\]"),
        (lambda m: m.learn(points(3).byte(), torch.arange(3)), "torch.uint8: expected .* in floating point"),
        (lambda m: m.learn(points(0), torch.arange(0)), r"examples are \[0, 6\].*: expected some"),
        (lambda m: m.learn(points(3) / 0, torch.arange(3)), "not finite: look for NaN"),
        (lambda m: m.answer(points(3)), "knows no class yet: learn some examples first"),
        (lambda m: m.nearest(points(3), 0), "0 neighbours cannot be found: expected at least 1"),
        (lambda m: memory_of(0), "slots 0, candidates 16: expected at least 1"),
        (lambda m: memory_of(4, candidates=0), "candidates 0: expected at least 1"),
        (lambda m: memory_of(4, keep="mean"), "cannot keep 'mean': choose 'means' or 'instances'"),
        (lambda m: memory_of(4, index="exakt"), "did you mean 'exact'"),
        (lambda m: memory_of(1 << 50), "GiB when all are written"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_learned(call, sentence):
    memory = memory_of(4)
    with pytest.raises(ValueError, match=sentence):
        call(memory)
    assert memory.used == 0


def test_encoder_that_sees_the_whole_batch_is_refused():
    memory = ClassMemory(MAML((16, 16), 5, channels=4).encoder, 4)
    with pytest.raises(ValueError, match="an example has no embedding of its own"):
        memory.learn(torch.rand(2, 16, 16), torch.arange(2))


def test_every_one_of_many_classes_is_named_through_inverted_lists():
    known = points(3000)
    memory = memory_of(1 << 16, index="faiss", index_options={"exact_up_to": 256})
    memory.learn(known, torch.arange(3000))
    found = memory.answer(known[:500] + 0.05 * points(500, 1))
    assert (found == torch.arange(500)).float().mean() > 0.98


def test_names_more_classes_than_an_episode_has_about_as_well_as_a_learner_of_that_many():
    groups = Examples(points(50)[:, None] + 0.3 * points(500, 1).view(50, 10, SIZE), "groups")
    learner = PrototypicalNetwork((SIZE,), encoder="identity")
    shots = Shots(examples=groups, ways=50, shots=5, queries=5)
    expected = evaluate_episodes(learner, shots, 5, torch.Generator().manual_seed(0)).score
    memory = ClassMemory(learner.encoder, 50, candidates=50)
    memory.learn(groups.values[:, :5].flatten(0, 1), torch.arange(50).repeat_interleave(5))
    right = memory.answer(groups.values[:, 5:].flatten(0, 1)) == torch.arange(50).repeat_interleave(5)
    assert 100 * right.double().mean() == pytest.approx(expected, abs=4)
    assert expected > 80
