import os

import numpy as np
import pytest
import torch

from lukasa.ground.mistakes import UserError
from lukasa.launch.runs import checkpoints
from lukasa.launch.runs.checkpoints import (
    find_checkpoint,
    from_plain,
    list_checkpoints,
    load_checkpoint,
    save_checkpoint,
    set_later_aside,
    to_plain,
)

STATE = {"weights": np.arange(6, dtype=np.float32).reshape(2, 3), "steps": np.int64(5), "nested": [1, (2.5, None, "a")]}


def names(folder):
    return [checkpoint.name for checkpoint in list_checkpoints(folder)]


def test_state_survives_saving(tmp_path):
    loaded = load_checkpoint(save_checkpoint(tmp_path, 5, STATE, 0.5))
    np.testing.assert_array_equal(loaded["weights"], STATE["weights"])
    assert loaded["weights"].dtype == np.float32
    assert loaded["nested"] == STATE["nested"]
    assert loaded["steps"] == 5


def test_file_holds_nothing_that_needs_unpickling(tmp_path):
    save_checkpoint(tmp_path, 5, STATE, None)
    torch.load(tmp_path / "step-000000000005" / "state.pt", weights_only=True)
    with pytest.raises(TypeError, match="cannot hold a object"):
        to_plain({"x": object()})


def test_plain_values_come_back_as_arrays():
    np.testing.assert_array_equal(from_plain(to_plain([np.ones(3, bool)]))[0], np.ones(3, bool))


def test_last_few_and_best_stay(tmp_path):
    for step, score in [(1, 0.1), (2, 0.9), (3, 0.2), (4, None), (5, 0.3), (6, 0.4)]:
        save_checkpoint(tmp_path, step, {}, score, keep=3)
    assert [checkpoint.step for checkpoint in list_checkpoints(tmp_path)] == [2, 4, 5, 6]
    assert find_checkpoint(tmp_path, "best").step == 2
    assert find_checkpoint(tmp_path, "last").step == 6


def test_later_of_two_that_tie_is_best(tmp_path):
    for step in (1, 2):
        save_checkpoint(tmp_path, step, {}, 0.5)
    assert find_checkpoint(tmp_path, "best").step == 2


def test_killed_while_writing_leaves_the_one_before(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, 1, STATE, 0.5)
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            save_checkpoint(tmp_path, 2, STATE, 0.5)
    assert names(tmp_path) == ["step-000000000001"]
    save_checkpoint(tmp_path, 2, STATE, 0.5)
    assert load_checkpoint(find_checkpoint(tmp_path, "last"))["steps"] == 5


def test_cut_short_is_refused_by_name_and_size(tmp_path):
    checkpoint = save_checkpoint(tmp_path, 7, STATE, 0.5)
    file = checkpoint.path / "state.pt"
    size = file.stat().st_size
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UserError, match=f"step-000000000007 is cut short: state.pt has 100 of {size} bytes"):
        load_checkpoint(checkpoint)


def test_altered_is_refused(tmp_path):
    checkpoint = save_checkpoint(tmp_path, 7, STATE, 0.5)
    file = checkpoint.path / "state.pt"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match="does not match its checksum"):
        load_checkpoint(checkpoint)


@pytest.mark.parametrize("name", [checkpoints.STATE_FILE, checkpoints.MANIFEST_FILE])
def test_missing_file_is_named(tmp_path, name):
    checkpoint = save_checkpoint(tmp_path, 7, STATE, 0.5)
    (checkpoint.path / name).unlink()
    with pytest.raises(UserError, match=name):
        load_checkpoint(checkpoint)


def test_later_checkpoints_are_set_aside_not_lost(tmp_path):
    for step in (1, 2, 3):
        save_checkpoint(tmp_path, step, STATE, 0.5)
    set_later_aside(tmp_path, 1)
    assert [checkpoint.step for checkpoint in list_checkpoints(tmp_path)] == [1]
    assert len(list(tmp_path.glob("replaced-*/state.pt"))) == 2


def test_unknown_checkpoint_tells_the_nearest(tmp_path):
    with pytest.raises(UserError, match="has no checkpoint yet"):
        find_checkpoint(tmp_path, "best")
    save_checkpoint(tmp_path, 1, STATE, 0.5)
    with pytest.raises(UserError, match="did you mean 'best'"):
        find_checkpoint(tmp_path, "bset")
