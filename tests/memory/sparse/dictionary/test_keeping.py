"""A neural dictionary is saved, loaded and brought up to date from what changed."""

import copy
import pickle

import pytest
import torch

from lukasa.memory.sparse import NeuralDictionary, SparseMemory
from lukasa.memory.sparse.dictionary import changes as log

W = 4


def filled(count=50, slots=60, seed=0, **options):
    dictionary = NeuralDictionary(W, slots, dictionaries=2, neighbours=5, **options)
    generator = torch.Generator().manual_seed(seed)
    which = torch.randint(2, (count,), generator=generator)
    dictionary.update(which, torch.randn(count, W, generator=generator), torch.randn(count, generator=generator))
    return dictionary


def queries(seed=9):
    return torch.randn(7, W, generator=torch.Generator().manual_seed(seed))


def assert_alike(one, other):
    assert torch.equal(one.used, other.used)
    assert torch.equal(one(queries(), touch=False), other(queries(), touch=False))


def test_a_state_dict_brings_everything_back(tmp_path):
    one = filled(slots=30, count=90)  # full: the order of use decides what goes next
    torch.save(one.state_dict(), tmp_path / "state.pt")
    other = NeuralDictionary(W, 30, dictionaries=2, neighbours=5)
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert_alike(one, other)
    more = torch.randn(20, W, generator=torch.Generator().manual_seed(3))
    which = torch.zeros(20, dtype=torch.int64)
    assert torch.equal(one.update(which, more, more[:, 0]), other.update(which, more, more[:, 0]))
    assert_alike(one, other)


def test_an_empty_one_as_well(tmp_path):
    empty = NeuralDictionary(W, 30, dictionaries=2, neighbours=5)
    full = filled(slots=30)
    full.load_state_dict(empty.state_dict())
    assert full.used.tolist() == [0, 0]
    empty.save(tmp_path / "empty")
    loaded = NeuralDictionary.load(tmp_path / "empty")
    assert not loaded(queries()).any()
    loaded.update(torch.zeros(7, dtype=torch.int64), queries(), queries()[:, 0])
    assert loaded.used.tolist() == [7, 0]


def test_a_state_of_other_sizes_is_refused():
    with pytest.raises(RuntimeError, match="do not fit 3 dictionaries"):
        NeuralDictionary(W, 60, dictionaries=3).load_state_dict(filled().state_dict())
    with pytest.raises(RuntimeError, match="slots are written and this memory has 10"):
        NeuralDictionary(W, 10, dictionaries=2).load_state_dict(filled().state_dict())
    with pytest.raises(RuntimeError, match="memory rows"):
        NeuralDictionary(W + 1, 60, dictionaries=2).load_state_dict(filled().state_dict())
    with pytest.raises(RuntimeError, match="order"):
        NeuralDictionary(W, 60, dictionaries=2).load_state_dict(
            {name: part for name, part in filled().state_dict().items() if name != "order"}
        )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_file_is_mapped_and_left_alone(tmp_path, dtype):
    one = filled(slots=30, count=90, dtype=dtype, delta=0.01, rule="largest")
    one.save(tmp_path / "dictionary")
    before = (tmp_path / "dictionary").read_bytes()
    other = NeuralDictionary.load(tmp_path / "dictionary")
    assert other.options == one.options
    assert other.slots == 30
    assert_alike(one, other)
    more = torch.randn(20, W, generator=torch.Generator().manual_seed(3), dtype=dtype)
    which = torch.zeros(20, dtype=torch.int64)
    assert torch.equal(one.update(which, more, more[:, 0]), other.update(which, more, more[:, 0]))
    other(more).sum().backward()
    assert other.learn(0.1) > 0
    assert (tmp_path / "dictionary").read_bytes() == before
    assert NeuralDictionary.load(tmp_path / "dictionary", slots=100, neighbours=2).slots == 100


def test_broken_files_are_refused_by_name(tmp_path):
    path = tmp_path / "dictionary"
    filled().save(path)
    whole = path.read_bytes()
    for cut in (0, 10, 60, 5000, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(ValueError, match=f"{path} (was cut short|is no sparse memory)"):
            NeuralDictionary.load(path)
    path.write_bytes(whole[:-4096] + bytes([whole[-4096] ^ 1]) + whole[-4095:])
    with pytest.raises(ValueError, match=f"{path} was altered"):
        NeuralDictionary.load(path)
    path.write_bytes(whole)
    with pytest.raises(ValueError, match=f"{path} is of a memory of 60 slots"):
        NeuralDictionary.load(path, slots=10)
    with pytest.raises(ValueError, match=f"{path} holds 2 dictionaries with keys of 4 numbers"):
        NeuralDictionary.load(path, key_size=5)
    SparseMemory.empty(2, 10, W).save(path)
    with pytest.raises(ValueError, match=f"{path} is a sparse memory and no dictionary"):
        NeuralDictionary.load(path)


def test_what_changed_brings_a_copy_up_to_date():
    one, copied = filled(), NeuralDictionary(W, 60, dictionaries=2, neighbours=5)
    copied.apply_changes(pickle.loads(pickle.dumps(one.changes())))
    assert_alike(one, copied)
    for round in range(5):
        one(queries(round)).square().sum().backward()
        one.learn(0.1)
        rows = queries(round + 20)[:4]
        one.update(torch.tensor([0, 1, 1, 0]), rows, rows[:, 0])
        changes = one.changes(copied.mark)
        assert changes.since == copied.mark
        assert len(changes.which) < 90
        copied.apply_changes(changes)
        assert copied.mark == one.mark
        assert_alike(one, copied)
    assert not len(one.changes(copied.mark).which)


def test_a_copy_too_far_behind_or_of_another_line_gets_everything(monkeypatch):
    one = filled()
    mark = one.mark
    monkeypatch.setattr(log, "KEPT", 5)
    for seed in range(3):
        one.update(torch.zeros(7, dtype=torch.int64), queries(seed), queries(seed)[:, 0])
    assert one.changes(mark).since is None
    monkeypatch.undo()
    other = filled(seed=5)
    assert other.changes(one.mark).since is None
    restored = copy.deepcopy(one)
    restored.load_state_dict(one.state_dict())
    assert restored.changes(one.mark).since is None
    copied = filled(seed=6)
    copied.apply_changes(one.changes(copied.mark))
    assert_alike(one, copied)


def test_changes_that_do_not_follow_are_refused():
    one, copied = filled(), filled(seed=3)
    with pytest.raises(ValueError, match="do not follow"):
        copied.apply_changes(one.changes(one.mark))
    assert_alike(copied, filled(seed=3))
