"""Sparse memories on a GPU: what every index finds, growth, files and states that change devices, mixed devices.

Legend: B batch, N slots, W word size, S slots of one operation.
"""

from __future__ import annotations

import copy
import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lukasa import memory
from lukasa.memory.sparse import SparseMemory
from lukasa.memory.sparse.indexes import automatic
from lukasa.memory.sparse.indexes.automatic import Automatic
from lukasa.memory.sparse.links import SparseLinks
from lukasa.memory.sparse.store import Store

B, N, W = 2, 300, 8
CPU = torch.device("cpu")
INDEXES: dict[str, dict[str, Any]] = {
    "exact": {},
    "lsh": {"tables": 16},
    "faiss": {"exact_up_to": 64, "probes": 64},
    "lists": {"exact_up_to": 64, "probes": 64},
    "auto": {},
}
NEEDS = {"faiss": "faiss", "lists": "numba"}
EVERY_INDEX = pytest.mark.parametrize("index", INDEXES)
ON_GPU_SLOTS = 1 << 22


def need(index: str) -> None:
    """Skip where the index's package is not installed, which it says in a sentence."""
    if index in NEEDS and importlib.util.find_spec(NEEDS[index]) is None:
        with pytest.raises(ImportError, match=f"index '{index}' needs the package {NEEDS[index]}"):
            SparseMemory.empty(1, 4, 2, index=index)
        pytest.skip(f"index {index!r} needs the package {NEEDS[index]}, which is not installed")


def empty(device: torch.device | str, index: str = "exact", slots: int = N, **layout: Any) -> SparseMemory:
    return SparseMemory.empty(B, slots, W, device=device, index=index, index_options=INDEXES[index], **layout)


def live(held: SparseMemory, steps: int, seed: int = 0, each: int = 9) -> tuple[SparseMemory, list[Tensor]]:
    """Write at the oldest slots and again at some known ones, search and mark; what was found, on the CPU."""
    generator, found = torch.Generator().manual_seed(seed), []
    device = held.device
    for step in range(steps):
        slots = held.least_recent(each)
        if step % 3 == 2:
            slots[:, -2:] = found[-1][:, 0, :2].to(device)
        words = torch.randn(B, each, W, generator=generator).to(device)
        held = held.write(slots, torch.zeros_like(slots, dtype=torch.bool), words)
        queries = torch.randn(B, 3, W, generator=generator).to(device)
        nearest = held.search(queries, 4)
        held = held.access(torch.cat([slots, nearest.flatten(1)], 1), held.read(nearest)[0].new_ones(B, each + 12))
        found.append(nearest.cpu())
    return held, found


def assert_same(held: SparseMemory, expected: SparseMemory) -> None:
    for name, tensor in held.tensors().items():
        torch.testing.assert_close(tensor.cpu(), expected.tensors()[name].cpu(), rtol=0, atol=0)


@EVERY_INDEX
def test_memory_on_a_device_holds_and_finds_what_it_does_on_the_cpu(index: str, device: torch.device):
    need(index)
    expected, exactly = live(empty(CPU, "lsh" if index == "lsh" else "exact"), 26)
    held, found = live(empty(device, index), 26)
    assert held.used.device == device
    assert int(held.used.min()) > 3 * 64  # beyond what lists scan; they look into all there are
    torch.testing.assert_close(found, exactly, rtol=0, atol=0)
    assert_same(held, expected)


@EVERY_INDEX
@pytest.mark.parametrize("storage", ["full", "float16"])
def test_core_trains_on_a_device_with_every_index(index: str, storage: str, device: torch.device):
    need(index)
    options = {"slots": 60, "word_size": 6, "heads": 2, "reads": 3, "index": index, "storage": storage}
    losses = []
    for where in (CPU, device):
        torch.manual_seed(0)
        options["index"] = "exact" if where == CPU and index in ("faiss", "lists") else index
        core = memory.make_core("sam", input_size=3, output_size=2, **options).to(where)
        outputs, state = memory.unroll(core, torch.randn(2, 7, 3, generator=torch.Generator().manual_seed(1)).to(where))
        outputs.square().sum().backward()
        assert state.memory.store.rows.device.type == where.type
        norm = torch.stack([one.grad.norm() for one in core.parameters() if one.grad is not None]).norm()
        losses.append((float(outputs.detach().norm()), float(norm)))
    torch.testing.assert_close(torch.tensor(losses[1]), torch.tensor(losses[0]), rtol=2e-3, atol=1e-5)


def test_automatic_index_on_a_device_scans_and_then_hashes(device: torch.device, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(automatic, "EXACT_UP_TO_ON_GPU", 100)
    held, _ = live(empty(device, "auto"), 8)
    store: Any = held.store
    assert isinstance(store.index, Automatic)
    assert store.index.name == "exact"
    held, found = live(held, 20, seed=1)
    assert store.index.name == "lsh"
    assert found[-1].min() >= 0


def test_a_device_makes_room_as_slots_are_written(device: torch.device):
    held = empty(device, slots=5000)
    store: Any = held.store
    assert isinstance(store, Store)
    assert store.capacity == 0
    held, _ = live(held, 2)
    assert store.capacity == 1024
    held, _ = live(held, 12, each=100)
    assert store.capacity == 2048
    expected = live(live(empty(CPU, slots=5000), 2)[0], 12, each=100)[0]
    assert_same(held, expected)
    assert_same(held.grow(9000), expected.grow(9000))


@pytest.mark.parametrize("copied", ["fork", "deepcopy", "a row reset"])
def test_copies_and_resets_stay_on_the_device(copied: str, device: torch.device):
    held, _ = live(empty(device), 6)
    before = held.tensors()
    if copied == "a row reset":
        held = held.reset(torch.tensor([True, False], device=device))
        assert held.used.tolist() == [0, int(before["used"][1])]
        return
    other = held.fork() if copied == "fork" else copy.deepcopy(held)
    other, _ = live(other, 3, seed=2)
    assert other.device == device
    assert_same(held, held.from_tensors(before))


def test_rewinding_on_a_device_brings_back_what_was(device: torch.device):
    held, _ = live(empty(device), 3)
    expected = held.fork()
    with held.journalling():
        version = held.version
        held = live(held, 4, seed=3)[0].rewind(version)
    assert_same(held, expected)
    assert_same(live(held, 2, seed=4)[0], live(expected, 2, seed=4)[0])


@EVERY_INDEX
@pytest.mark.parametrize("back", [False, True], ids=["saved on the CPU", "saved on a device"])
def test_memory_saved_on_one_device_goes_on_on_another(index: str, back: bool, device: torch.device, tmp_path: Path):
    need(index)
    first, then = (device, CPU) if back else (CPU, device)
    held, _ = live(empty(first, index), 9)
    held.save(tmp_path / "memory")
    loaded = SparseMemory.load(tmp_path / "memory", device=then)
    assert loaded.device == then
    assert_same(loaded, held)
    if index in ("exact", "auto"):
        assert_same(live(loaded, 3, seed=5)[0], live(held, 3, seed=5)[0])


@pytest.mark.parametrize("back", [False, True], ids=["saved on the CPU", "saved on a device"])
def test_links_saved_on_one_device_go_on_on_another(back: bool, device: torch.device, tmp_path: Path):
    first, then = (device, CPU) if back else (CPU, device)

    def linked(links: SparseLinks, slots: range) -> SparseLinks:
        for slot in slots:
            at = torch.tensor([[slot]], device=links.device)
            links = links.update(at, torch.ones_like(at, dtype=torch.float32), torch.full_like(at, -1))
        return links

    links = linked(SparseLinks.empty(1, 20, device=first), range(5))
    links.save(tmp_path / "links")
    loaded = SparseLinks.load(tmp_path / "links", device=then)
    assert loaded.device == then
    for name, tensor in linked(loaded, range(5, 9)).tensors().items():
        expected = linked(links, range(5, 9)) if name == "names" else links
        torch.testing.assert_close(tensor.cpu(), (links := expected).tensors()[name].cpu())


def test_devices_are_known_by_name(device: torch.device):
    assert SparseMemory.empty(1, 8, 2, device="cpu").device == CPU
    assert SparseMemory.empty(1, 8, 2, device="cuda").device == device
    with pytest.raises(ValueError, match=r"there is no device 'gpu': expected 'cpu', or 'cuda' for a GPU"):
        SparseMemory.empty(1, 8, 2, device="gpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_missing_gpu_is_one_sentence(tmp_path: Path):
    SparseMemory.empty(1, 8, 2).save(tmp_path / "memory")
    for make in (
        lambda: SparseMemory.empty(1, 8, 2, device="cuda"),
        lambda: SparseLinks.empty(1, 8, device=torch.device("cuda:1")),
        lambda: SparseMemory.load(tmp_path / "memory", device="cuda"),
    ):
        with pytest.raises(ValueError, match="needs a GPU that this PyTorch can use, and there is none: take 'cpu'"):
            make()


def test_memory_larger_than_the_devices_is_refused_by_name(device: torch.device):
    with pytest.raises(ValueError, match=re.escape(f"{device} has")):
        SparseMemory.empty(64, 1 << 30, 64, device=device)
    with pytest.raises(ValueError, match=re.escape(f"{device} has")):
        SparseLinks.empty(64, 1 << 30, device=device)


@pytest.mark.parametrize("what", ["slots", "keep", "words", "queries", "weights"])
def test_arguments_elsewhere_are_one_sentence_and_change_nothing(what: str, device: torch.device):
    held, _ = live(empty(device), 2)
    given = {
        "slots": held.least_recent(2),
        "keep": torch.zeros(B, 2, dtype=torch.bool, device=device),
        "words": torch.ones(B, 2, W, device=device),
        "queries": torch.ones(B, 1, W, device=device),
        "weights": torch.ones(B, 2, device=device),
    }
    before, given[what] = held.tensors(), given[what].cpu()
    sentence = re.escape(f"{what} are on cpu and this sparse memory on {device}: move them with .to()")
    calls = {
        "queries": [lambda: held.search(given["queries"], 1)],
        "weights": [lambda: held.access(given["slots"], given["weights"])],
        "slots": [lambda: held.read(given["slots"]), lambda: held.access(given["slots"], given["weights"])],
    }
    write = lambda: held.write(given["slots"], given["keep"], given["words"])  # noqa: E731
    for call in calls.get(what, []) + ([write] if what in ("slots", "keep", "words") else []):
        with pytest.raises(ValueError, match=sentence):
            call()
    for name, tensor in held.tensors().items():
        torch.testing.assert_close(tensor.cpu(), before[name].cpu(), rtol=0, atol=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here")
@pytest.mark.parametrize("index", ["exact", "lsh", "faiss", "lists", "auto"])
def test_millions_of_slots_on_a_gpu(index: str):
    need(index)
    where = torch.device("cuda", 0)
    held = SparseMemory.empty(1, ON_GPU_SLOTS, 32, device=where, index=index)
    generator = torch.Generator(where).manual_seed(0)
    rows = torch.randn(1, ON_GPU_SLOTS - 64, 32, generator=generator, device=where)
    used = torch.tensor([rows.shape[1]], device=where)
    order = torch.arange(rows.shape[1], device=where)[None]
    held = held.from_tensors({"rows": rows, "used": used, "order": order})
    picked = torch.arange(0, rows.shape[1], 1 << 17, device=where)[None]
    found = held.search(held.read(picked)[0] + 1e-3, 4)[..., 0]
    assert float((found == picked).float().mean()) >= (1 if index == "exact" else 0.9)
    fresh = held.least_recent(8)
    held = held.write(fresh, torch.zeros_like(fresh, dtype=torch.bool), rows[:, :8] * -3)
    assert torch.equal(held.search(rows[:, :8] * -3, 1)[..., 0], fresh)
