"""Streams of tasks: the same every time, nothing of the test in training, one form for all."""

import gzip
import struct

import pytest
import torch

from lukasa.tasks.continual import make_stream, unpacked
from lukasa.tasks.data import DataError
from lukasa.tasks.making import make_task

SMALL = {
    "omniglot_alphabets": {"tasks": 3, "classes": 4, "source": "generated", "size": 16},
    "permuted_pixels": {"tasks": 3, "classes": 4, "examples": 12, "size": 16},
    "babi_stream": {"which": (1, 6), "questions": 20, "tested": 8},
    "algorithms": {"sequences": 12, "tested": 6},
}


@pytest.mark.parametrize("name", SMALL)
def test_a_stream_is_the_same_every_time_and_keeps_its_parts_apart(name):
    stream = make_stream(name, **SMALL[name]).load()
    # Another cache entry of the same stream: the seed is given, not left out.
    again = make_stream(name, **SMALL[name], split_seed=0).load()
    other = make_stream(name, **SMALL[name], split_seed=1).load()
    for part in ("train", "test"):
        for here, there in zip(getattr(stream, part), getattr(again, part), strict=True):
            assert all(torch.equal(one, same) for one, same in zip(here, there, strict=True))
    assert not torch.equal(stream.train[1].inputs[:6], other.train[1].inputs[:6])
    for task, (train, test) in enumerate(zip(stream.train, stream.test, strict=True)):
        assert train.tasks.unique().tolist() == test.tasks.unique().tolist() == [task]
        assert set(train.answers.unique().tolist()) - {-1} <= set(stream.columns[task].tolist())
        assert int(train.groups.max()) < stream.groups
        if train.inputs.dtype == torch.uint8:
            shown = {tuple(one.flatten().tolist()) for one in train.inputs}
            assert not shown & {tuple(one.flatten().tolist()) for one in test.inputs}


def test_alphabets_have_classes_of_their_own():
    stream = make_stream("omniglot_alphabets", **SMALL["omniglot_alphabets"]).load()
    assert [one.tolist() for one in stream.columns] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert not stream.shares_answers
    assert (stream.chance(True), stream.chance(False)) == (25.0, pytest.approx(100 / 12))
    assert len(stream.train[0].tasks) == 4 * 15
    assert len(stream.test[0].tasks) == 4 * 5


def test_pixels_are_the_same_in_another_order():
    stream = make_stream("permuted_pixels", **SMALL["permuted_pixels"]).load()
    first, second = (stream.train[task].inputs.flatten(1) for task in (0, 1))
    assert torch.equal(first.sort(1).values, second.sort(1).values)
    assert not torch.equal(first, second)
    assert stream.shares_answers
    assert stream.groups == 12
    assert stream.train[2].groups.unique().tolist() == [8, 9, 10, 11]  # a class of each task


def test_a_story_survives_its_table():
    stream = make_stream("babi_stream", **SMALL["babi_stream"]).load()
    asked = unpacked(stream.train[0].inputs, stream.train[0].answers)
    count = int(asked.sentences[0])
    assert (asked.story[0, :count] != 0).any(1).all()
    assert not (asked.story[0, count:] != 0).any()
    assert (asked.question != 0).any(1).all()


def test_one_width_holds_every_algorithm():
    stream = make_stream("algorithms", **SMALL["algorithms"]).load()
    batch = make_task("copy", bits=4, max_length=5).sample(12, torch.Generator().manual_seed(0))
    steps, width = batch.inputs.shape[1:]
    given = stream.train[0]
    assert torch.equal(given.inputs[:, :steps, :width], batch.inputs)
    assert not given.inputs[:, :, width:].any()
    answers = given.answers.unflatten(1, (-1, stream.sizes.symbols))
    assert torch.equal(answers[:, :steps, :4][batch.mask], batch.targets[batch.mask].long())
    assert (answers[:, :, 4:] == -1).all()
    assert (answers >= 0).sum() == batch.mask.sum() * 4


def mnist(folder, part, count, packed):
    numbers = torch.arange(count * 28 * 28).remainder(256).to(torch.uint8).numpy().tobytes()
    labels = bytes(one % 10 for one in range(count))
    files = {
        f"{part}-images-idx3-ubyte": struct.pack(">4I", 0x803, count, 28, 28) + numbers,
        f"{part}-labels-idx1-ubyte": struct.pack(">2I", 0x801, count) + labels,
    }
    for name, content in files.items():
        path = folder / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(content) if packed else content)


@pytest.mark.parametrize("packed", [True, False])
def test_mnist_is_read_from_its_files(tmp_path, packed):
    mnist(tmp_path, "train", 40, packed)
    mnist(tmp_path, "t10k", 20, packed)
    stream = make_stream("permuted_pixels", pictures="mnist", tasks=2, examples=3, data_dir=str(tmp_path)).load()
    assert stream.train[0].inputs.shape == (30, 28, 28)
    assert torch.bincount(stream.train[1].answers[:, 0]).tolist() == [3] * 10
    assert torch.bincount(stream.test[1].answers[:, 0]).tolist() == [1] * 10


def test_mnist_that_is_cut_short_or_missing_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    monkeypatch.delenv("LUKASA_DATA", raising=False)
    (tmp_path / "data").mkdir()
    asked = {"pictures": "mnist", "tasks": 2, "examples": 3, "data_dir": str(tmp_path / "data")}
    with pytest.raises(DataError, match="is not on this machine"):
        make_stream("permuted_pixels", **asked).load()
    mnist(tmp_path / "data", "train", 40, packed=False)
    path = tmp_path / "data" / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match="cut short or another file"):
        make_stream("permuted_pixels", **asked).load()


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("omniglot_alphabet", {}, "did you mean 'omniglot_alphabets'"),
        ("omniglot_alphabets", {"task": 3}, "did you mean 'tasks'"),
        ("omniglot_alphabets", {"classes": 40, "source": "generated"}, "generated ones have 32: ask for fewer classes"),
        ("omniglot_alphabets", {"classes": 1}, "expected a whole number from 2"),
        ("permuted_pixels", {"pictures": "omniglot", "examples": 30}, "drawings of each character"),
        ("permuted_pixels", {"pictures": "mnist", "size": 20}, "MNIST have 28 pixels"),
        ("babi_stream", {"which": (4,)}, "which names task 4: expected some of 1, 2, 3, 6, 15, 16"),
        ("algorithms", {"which": ("copi",)}, "did you mean 'copy'"),
        ("algorithms", {"which": ("copy", "copy")}, "expected different names"),
        ("algorithms", {"which": ("addition_problem",)}, "unknown task"),
    ],
)
def test_what_there_is_not_is_one_sentence(name, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        make_stream(name, **options).load()
