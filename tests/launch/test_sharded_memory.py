"""A memory in shards: the answers of one in this process, one message a step, and nothing lost with a shard.

Legend: B batch, N slots, W word size, H heads, C slots that a head reads.
"""

import gc
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from typing import Any

import pytest
import ray
import torch

from lukasa import memory
from lukasa.ground.mistakes import UserError
from lukasa.launch.ray.sharded import ShardedMemories, Sharding, ShardLostError
from lukasa.memory.sparse import SparseMemory

SHARDS = 3
SAME: dict[str, Any] = {"rtol": 0, "atol": 0}


@pytest.fixture(scope="module")
def shared_memories(ray_cluster, tmp_path_factory):
    with ShardedMemories(Sharding(SHARDS, tmp_path_factory.mktemp("states"), cpus=0.2)) as made:
        yield made


@pytest.fixture
def memories(shared_memories):
    gc.collect()  # the memories of the test before lie in cycles: their shards serve this one
    return shared_memories


def pair(memories, batch_size=2, slots=24, word_size=4, **layout: Any) -> tuple[Any, Any]:
    """The same empty memory in shards and in this process."""
    layout = {"index": "exact", **layout}
    sizes = batch_size, slots, word_size
    return memories.empty(*sizes, **layout), SparseMemory.empty(*sizes, **layout)


def step(one: SparseMemory, words: torch.Tensor, keep: float = 0.5) -> tuple[SparseMemory, torch.Tensor, torch.Tensor]:
    """Write to the oldest slots and to those nearest to the words, search, read, mark: what a core does in a step."""
    found = one.search(words, 2).flatten(1)
    slots = torch.cat([one.least_recent(words.shape[1]), found, found[:, :1]], 1)  # a duplicate too
    kept = torch.arange(slots.shape[1]).expand_as(slots) >= words.shape[1]
    added = torch.cat([words, words, words, words], 1)[:, : slots.shape[1]]
    one = one.write(slots, kept, added)
    nearest = one.search(words * keep, 3)
    rows, one = one.read(nearest)
    return one.access(nearest.flatten(1), torch.ones_like(rows[..., 0]).flatten(1)), nearest, rows


def words_of(steps: int, count: int = 3, batch_size: int = 2, word_size: int = 4, seed: int = 0) -> torch.Tensor:
    return torch.randn(steps, batch_size, count, word_size, generator=torch.Generator().manual_seed(seed))


def lived(sharded: Any, local: Any, words: torch.Tensor) -> tuple[Any, Any]:
    """Both after the same steps, whose answers are compared."""
    for some in words:
        sharded, nearest, rows = step(sharded, some)
        local, expected_nearest, expected_rows = step(local, some)
        torch.testing.assert_close((nearest, rows), (expected_nearest, expected_rows), **SAME)
    return sharded, local


class Heard(list[Any]):
    """Writes down what is asked of a memory and done to it."""

    def choose(self, shape: Any, own: Any) -> torch.Tensor:
        slots = own()
        self.append((shape, slots.tolist()))
        return slots

    def wrote(self, slots: torch.Tensor) -> None:
        self.append(slots.tolist())

    def accessed(self, slots: torch.Tensor) -> None:
        self.append(slots.tolist())


def kill(memory: Any, shard: int) -> None:
    os.kill(memory.store.fleet.pids[shard], signal.SIGKILL)


@pytest.mark.ray
@pytest.mark.parametrize("layout", [{}, {"storage": "float16"}, {"dtype": torch.float64}, {"index": "faiss"}])
def test_answers_are_those_of_one_machine_bit_for_bit(memories, layout):
    sharded, local = lived(*pair(memories, **layout), words_of(12))
    assert sharded.used.tolist() == [24, 24]
    torch.testing.assert_close(sharded.tensors(), local.tensors(), **SAME)


@pytest.mark.ray
def test_rows_written_after_they_were_found_are_read_anew(memories):
    rows = []
    for one in lived(*pair(memories), words_of(4)):
        words = words_of(1, 2, seed=7)[0]
        found = one.search(words, 1).flatten(1)
        after = one.write(found, torch.zeros_like(found), words)
        rows.append(after.read(found)[0])
    torch.testing.assert_close(rows[0], rows[1], **SAME)


@pytest.mark.ray
def test_equal_words_are_found_at_the_lowest_slot_wherever_they_lie(memories):
    words = torch.tensor([[[1.0, 0, 2, 0], [0, 3.0, 0, 0]]]).expand(2, 2, 4).repeat(1, 6, 1)
    answers = []
    for one in pair(memories):
        one = one.write(torch.arange(12).expand(2, -1), torch.zeros(2, 12), words)
        answers.append(one.search(words[:, :2], 8))
    assert answers[0].tolist() == answers[1].tolist() == [[[0, 2, 4, 6, 8, 10, 1, 3], [1, 3, 5, 7, 9, 11, 0, 2]]] * 2


@pytest.mark.ray
def test_answers_on_many_words_are_those_of_one_machine(memories):
    sharded, local = pair(memories, slots=3000, word_size=16)
    words = words_of(1, 3000, word_size=16)[0]
    everything = torch.arange(3000).expand(2, -1)
    sharded, local = (one.write(everything, torch.zeros(2, 3000), words) for one in (sharded, local))
    queries = words_of(1, 200, word_size=16, seed=1)[0]
    assert torch.equal(sharded.search(queries, 8), local.search(queries, 8))


@pytest.mark.ray
def test_reset_rows_growth_and_copies_are_those_of_one_machine(memories):
    sharded, local = lived(*pair(memories), words_of(4))
    mask = torch.tensor([True, False])
    sharded, local = lived(sharded.reset(mask), local.reset(mask), words_of(3, seed=1))
    sharded, local = lived(sharded.grow(30), local.grow(30), words_of(8, seed=2))
    assert sharded.used.tolist() == local.used.tolist() == [30, 30]
    copies = lived(sharded.fork(), local.fork(), words_of(2, seed=3))
    lived(sharded, local, words_of(2, seed=4))
    torch.testing.assert_close(copies[0].tensors(), copies[1].tensors(), **SAME)


@pytest.mark.ray
@pytest.mark.parametrize("name", ["sam", "sdnc"])
def test_core_in_shards_has_the_outputs_and_gradients_of_one_in_this_process(memories, name):
    inputs = words_of(1, 7, 2, 3)[0]
    results = []
    for sharded in (True, False):
        torch.manual_seed(0)
        options = {"slots": 24, "word_size": 4, "heads": 2, "reads": 2, "index": "exact", "controller_size": 8}
        core = memory.make_core(name, input_size=3, output_size=2, **options)
        if sharded:
            memories.serve(core)
        starts = torch.zeros(2, 7, dtype=torch.bool)
        starts[1, 3] = True
        with memory.step_by_step():  # as a core in shards goes
            outputs, state = memory.unroll(core, inputs, starts=starts)
        outputs.square().sum().backward()
        results.append((outputs, {name: weight.grad for name, weight in core.named_parameters()}, state.memory))
    torch.testing.assert_close(results[0][:2], results[1][:2], **SAME)
    torch.testing.assert_close(results[0][2].tensors(), results[1][2].tensors(), **SAME)


@pytest.mark.ray
def test_step_of_a_core_is_one_message_to_each_shard(memories):
    core: Any = memory.make_core("sam", input_size=3, output_size=2, slots=24, word_size=4, heads=2, reads=2)
    memories.serve(core)
    state = core.initial_state(1)
    fleet = state.memory.store.fleet
    _, state = core(torch.randn(1, 3), state)
    before = fleet.messages
    for _ in range(5):
        _, state = core(torch.randn(1, 3), state)
    assert fleet.messages - before == 5 * SHARDS


@pytest.mark.ray
def test_shards_of_a_memory_that_nobody_holds_serve_the_next_one_empty(memories):
    sharded, local = lived(*pair(memories, slots=27), words_of(3))
    fleet, pids = sharded.store.fleet, list(sharded.store.fleet.pids)
    sharded.store.save()
    folder = fleet.saved.parent
    del sharded, local
    gc.collect()
    assert not folder.exists()
    sharded, _ = lived(*pair(memories, slots=27), words_of(3, seed=5))
    assert sharded.store.fleet.pids == pids


@pytest.mark.ray
def test_shards_that_run_serve_before_those_that_were_never_needed(memories):
    sharded, local = lived(*pair(memories), words_of(1))
    never_asked = [pair(memories) for _ in range(4)]  # more than there are shards that run
    del sharded, local
    while never_asked:
        never_asked.pop(0)
    again, _ = pair(memories)
    assert again.store.fleet.running


@pytest.mark.slow
@pytest.mark.ray
def test_shard_killed_while_nobody_used_it_is_started_for_the_next_memory(memories):
    sharded, local = lived(*pair(memories), words_of(3))
    kill(sharded, 1)
    time.sleep(0.5)  # until Ray knows
    del sharded, local
    gc.collect()
    lived(*pair(memories), words_of(3, seed=5))


@pytest.mark.ray
@pytest.mark.parametrize("saved", [False, True])
def test_killed_shard_comes_back_with_all_that_it_held(memories, saved, caplog):
    sharded, local = lived(*pair(memories, storage="bfloat16"), words_of(4))
    if saved:
        sharded.store.save()
    sharded, local = lived(sharded, local, words_of(3, seed=1))
    sharded, local = (
        one.write(torch.tensor([[0, 1]] * 2), torch.ones(2, 2), words_of(1, 2)[0]) for one in (sharded, local)
    )
    kill(sharded, 1)  # with a change not yet sent
    sharded, local = lived(sharded, local, words_of(3, seed=2))
    torch.testing.assert_close(sharded.tensors(), local.tensors(), **SAME)
    (recovery,) = sharded.store.fleet.recoveries
    assert recovery.shard == 1
    assert recovery.replayed == (4 if saved else 8)
    assert "shard 1 of 3 was lost" in caplog.text
    assert "nothing was lost" in caplog.text


@pytest.mark.ray
def test_shard_killed_before_a_save_is_in_the_save(memories, tmp_path):
    sharded, local = lived(*pair(memories), words_of(4))
    kill(sharded, 2)
    sharded.store.save(tmp_path / "copy")
    del sharded
    loaded: Any = memories.load(tmp_path / "copy")
    torch.testing.assert_close(loaded.tensors(), local.tensors(), **SAME)


@pytest.mark.slow
@pytest.mark.ray
def test_long_log_is_replaced_by_a_save_and_recovery_begins_there(ray_cluster, tmp_path):
    with ShardedMemories(Sharding(SHARDS, tmp_path, cpus=0.2, log_bytes=2000)) as memories:
        sharded, local = lived(*pair(memories), words_of(12))
        fleet: Any = sharded.store.fleet
        assert fleet.logged < 2000 + 1000
        states = [path.name for path in (tmp_path / "memory-0").iterdir() if path.is_dir()]
        assert states == [fleet.saved.name]
        assert int(fleet.saved.name.removeprefix("states-")) > 1
        kill(sharded, 0)
        sharded, local = lived(sharded, local, words_of(2, seed=1))
        assert fleet.recoveries[0].replayed < 6


@pytest.mark.ray
def test_saved_memory_loads_and_goes_on_as_it_would_have(memories, tmp_path):
    sharded, local = lived(*pair(memories, delta=0.25, storage="float16"), words_of(5))
    sharded.store.save(tmp_path / "copy")
    lived(sharded, local.fork(), words_of(2, seed=3))
    del sharded
    loaded: Any = memories.load(tmp_path / "copy")
    assert loaded.store.layout == local.store.layout
    loaded, local = lived(loaded, local, words_of(5, seed=1))
    (tmp_path / "copy" / "00000001").mkdir()  # not ours: it stays
    loaded.store.save(tmp_path / "copy")  # over the states from which lost shards begin
    kill(loaded, 0)
    torch.testing.assert_close(loaded.tensors(), local.tensors(), **SAME)


@pytest.mark.ray
@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (lambda path: path.unlink(), "No such file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "was cut short"),
    ],
)
def test_shard_whose_saved_state_is_gone_is_one_sentence(memories, harm, sentence):
    sharded, _ = lived(*pair(memories, slots=33), words_of(3))
    sharded.store.save()
    kill(sharded, 1)
    harm(sharded.store.fleet.saved / "shard-1.memory")
    with pytest.raises(ShardLostError, match=rf"^shard 1 of 3 cannot be brought back.*{sentence}.*load the memory"):
        sharded.search(torch.randn(2, 1, 4), 1)


@pytest.mark.ray
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"placement": "STRICT_SPREAD"}, "3 shards are to be on machines of their own and the Ray cluster has 1"),
        ({"cpus": 1.0}, "3 shards of 1 CPUs need 3 and the Ray cluster has 2"),
        ({"shards": 0}, "every one has to be positive"),
        ({"placement": "ANYWHERE"}, "unknown placement 'ANYWHERE': expected one of SPREAD, STRICT_SPREAD, PACK"),
        ({"folder": "file"}, "is a file: choose a folder"),
    ],
)
def test_sharding_that_cannot_be_placed_is_refused_at_once(ray_cluster, tmp_path, change, sentence):
    (tmp_path / "file").touch()
    settings = {"shards": 3, "cpus": 0.25, "folder": "states"} | change
    settings["folder"] = tmp_path / settings["folder"]
    with pytest.raises(UserError, match=re.escape(sentence)):
        ShardedMemories(Sharding(**settings))


@pytest.mark.ray
def test_memory_that_cannot_be_sharded_is_one_sentence(memories, tmp_path):
    with pytest.raises(UserError, match="100 slots cannot be divided among 3 shards: take 99 or 102"):
        memories.empty(1, 100, 4)
    with pytest.raises(UserError, match="lives in the host memory of its machines, not on meta"):
        memories.empty(1, 99, 4, device=torch.device("meta"))
    with pytest.raises(UserError, match="core DNC has no sparse memory to shard: choose 'sam' or 'sdnc'"):
        memories.serve(memory.make_core("dnc", input_size=2, output_size=2, slots=8, word_size=4))
    with pytest.raises(UserError, match=r"holds no sharded memory: .*memory\.json is not there"):
        memories.load(tmp_path)
    with pytest.raises(UserError, match=r"order in which 3,298,534,883,328 slots are accessed .* does not fit"):
        memories.empty(1, 3 * 2**40, 4)
    with pytest.raises(ValueError, match=r"needs .* GiB when all are written"):
        memories.empty(1, 3 * 2**20, 2**20).search(torch.randn(1, 1, 2**20), 1)


@pytest.mark.slow
@pytest.mark.ray
def test_who_listens_to_a_sharded_memory_hears_what_one_of_a_local_one_does(memories):
    both = pair(memories)
    heard = [Heard(), Heard()]
    for one, listener in zip(both, heard, strict=True):
        one.store.listener = listener
    lived(*both, words_of(3))
    assert heard[0] == heard[1]
    assert len(heard[0]) == 3 * 5  # two searches, the oldest, a write, an access


@pytest.mark.ray
def test_what_a_sharded_memory_cannot_do_is_one_sentence(memories, tmp_path):
    sharded, local = pair(memories)
    for one in (sharded, local):
        with pytest.raises(ValueError, match="slots up to 2 cannot be written while"):
            one.write(torch.tensor([[2], [2]]), torch.zeros(2, 1), torch.ones(2, 1, 4))
    with pytest.raises(ValueError, match="cannot shrink to 3"):
        sharded.grow(3)
    with pytest.raises(RuntimeError, match="keeps no journal"), sharded.journalling():
        pass
    with pytest.raises(RuntimeError, match=r"save it with memory\.store\.save\(folder\)"):
        sharded.save(tmp_path / "file")
    (tmp_path / "taken").touch()
    with pytest.raises(UserError, match=r"cannot be saved to .*taken"):
        sharded.store.save(tmp_path / "taken")


def test_memory_without_ray_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(UserError, match="needs Ray and none is running here"):
        ShardedMemories(Sharding(2, tmp_path))


@pytest.mark.ray
@pytest.mark.slow
def test_shards_are_spread_over_machines_and_outlive_one(tmp_path):
    program = f"""
        import time
        import torch
        from pathlib import Path
        import ray
        from ray.cluster_utils import Cluster
        from lukasa.launch.ray.sharded import ShardedMemories, Sharding
        from lukasa.memory.sparse import SparseMemory

        cluster = Cluster(initialize_head=True, head_node_args=dict(num_cpus=2, include_dashboard=False))
        second = cluster.add_node(num_cpus=2)
        ray.init(address=cluster.address, log_to_driver=False)

        def machines(memory):
            actors = memory.store.fleet._actors
            where = [ray.get(a.__ray_call__.remote(lambda s: ray.get_runtime_context().get_node_id())) for a in actors]
            return len(set(where)), where

        with ShardedMemories(Sharding(2, Path({str(tmp_path)!r}), cpus=1, placement="SPREAD")) as memories:
            sharded = memories.empty(1, 8, 3, index="exact")
            local = SparseMemory.empty(1, 8, 3, index="exact")
            words = torch.randn(1, 6, 3)
            slots, none = torch.arange(6).unsqueeze(0), torch.zeros(1, 6)
            sharded, local = sharded.write(slots, none, words), local.write(slots, none, words)
            sharded.search(words, 2)
            print("machines", machines(sharded)[0])
            cluster.remove_node(second, allow_graceful=False)
            same, deadline = True, time.monotonic() + 60
            while not sharded.store.fleet.recoveries and time.monotonic() < deadline:  # the actor dies after its raylet
                same = same and torch.equal(sharded.search(words, 4), local.search(words, 4))
                time.sleep(0.1)
            print("\\nsame", same)
            print("\\nmachines", machines(sharded)[0], "recoveries", len(sharded.store.fleet.recoveries))
        ray.shutdown()
        cluster.shutdown()
    """
    told = run_apart(program)
    assert "machines 2" in told
    assert "same True" in told
    assert "machines 1 recoveries 1" in told


def run_apart(program: str) -> str:
    """What a program prints, in a process of its own."""
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=150, check=False
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return ran.stdout
