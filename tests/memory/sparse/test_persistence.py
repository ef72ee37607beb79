"""A memory in a file: it comes back with everything, never changes its file, and a broken file is refused.

Legend: B batch, N slots, W word size.
"""

import os
import re
from dataclasses import replace
from typing import Any

import pytest
import torch

from lukasa.memory.sparse import SparseMemory, persistence
from tests.memory.sparse.test_handle import SAME, empty, everything, written


@pytest.mark.parametrize("storage", ["full", "float16", "bfloat16"])
def test_saved_memory_loads_with_everything_it_held(tmp_path: Any, storage: str):
    memory = written(8, empty(storage=storage, delta=0.25))
    memory = memory.reset(torch.tensor([False, True]))
    memory = written(2, memory)
    memory.save(tmp_path / "memory.bin")
    loaded = SparseMemory.load(tmp_path / "memory.bin")
    assert loaded.store.layout == replace(memory.store.layout, index_options={})
    expected, found = everything(memory), everything(loaded)
    del expected["all rows"], found["all rows"]
    torch.testing.assert_close(found, expected, **SAME)
    assert loaded.store.layout.delta == 0.25
    torch.testing.assert_close(written(6, loaded, seed=3).tensors(), written(6, memory, seed=3).tensors(), **SAME)
    assert [path.name for path in tmp_path.iterdir()] == ["memory.bin"]


def test_loaded_memory_never_changes_its_file_and_can_be_given_more_slots(tmp_path: Any):
    path = tmp_path / "memory.bin"
    written(4).save(path)
    before = path.read_bytes()
    memory = written(20, SparseMemory.load(path, slots=9))
    assert memory.used.tolist() == [9, 9]
    assert path.read_bytes() == before
    with pytest.raises(ValueError, match="of a memory of 6 slots: it cannot be loaded with 5"):
        SparseMemory.load(path, slots=5)
    with pytest.raises(ValueError, match="holds word_size 3: it cannot be loaded as 4"):
        SparseMemory.load(path, word_size=4)


def test_empty_memory_saves_and_loads(tmp_path: Any):
    empty().save(tmp_path / "memory.bin")
    assert SparseMemory.load(tmp_path / "memory.bin").used.tolist() == [0, 0]


def test_cut_short_or_altered_files_are_refused_with_their_name(tmp_path: Any):
    path = tmp_path / "memory.bin"
    written(4).save(path)
    whole = path.read_bytes()
    for length in (*range(0, 700, 23), 4096, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=f"{re.escape(str(path))} (was cut short|is no sparse memory)"):
            SparseMemory.load(path)
    header, start = persistence._read_header(_restored(path, whole))
    data = [start + part["begin"] + part["bytes"] // 2 for part in header["sections"].values()]
    for place in (len(persistence.MAGIC) + 30, *data):
        altered = bytearray(whole)
        altered[place] ^= 1
        path.write_bytes(altered)
        with pytest.raises(ValueError, match=f"{re.escape(str(path))} was altered: the checksum of its"):
            SparseMemory.load(path)
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match="is no sparse memory"):
        SparseMemory.load(path)


def _restored(path: Any, whole: bytes) -> Any:
    path.write_bytes(whole)
    return path


def test_save_that_fails_leaves_the_file_that_was_there(tmp_path: Any, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "memory.bin"
    written(4).save(path)
    before = path.read_bytes()

    def full_disk(_: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        written(2).save(path)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["memory.bin"]
