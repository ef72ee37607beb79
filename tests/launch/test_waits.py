"""Who waits for whom, and what memories do, in the metrics of a run."""

import dataclasses
import math
import mmap

import pytest
import torch

from lukasa import memory
from lukasa.launch.kinds.rl import job as rl
from lukasa.launch.kinds.rl.options import RL
from lukasa.launch.kinds.rl.waits import memories, waits
from lukasa.launch.runs.directory import create_run, describe_run, read_metrics
from lukasa.launch.runs.metering import measured, resident_bytes
from lukasa.memory.sparse.traffic import TRAFFIC, Traffic


def test_traffic_counts_slots_read_and_written_and_begins_anew():
    core = memory.make_core("sam", input_size=2, output_size=2, slots=64, word_size=4, heads=2, reads=3)
    TRAFFIC.take()
    memory.unroll(core, torch.zeros(5, 7, 2))
    # Each of 7 steps, 5 rows and 2 heads reads 3 slots and writes those of the step before and the oldest one.
    assert (TRAFFIC.reads, TRAFFIC.writes) == (7 * 5 * 2 * 3, 7 * 5 * 2 * 4)
    assert TRAFFIC.filled == 14
    assert TRAFFIC.take() == Traffic(210, 280, 14)
    assert TRAFFIC.take() == Traffic()


def test_core_without_sparse_memory_has_no_traffic_in_its_metrics():
    TRAFFIC.take()
    assert set(measured(1.0)) == {"resident_bytes"}
    row = measured(2.0, Traffic(30, 40, 5))
    assert row["memory_reads_per_second"] == 15
    assert row["memory_writes_per_second"] == 20
    assert row["memory_slots_used"] == 5


def test_resident_bytes_grow_with_what_is_held():
    size = 1 << 26
    with mmap.mmap(-1, size) as held:  # pages of its own: an allocator may hand out some that it already holds
        before = resident_bytes()
        held[:: mmap.PAGESIZE] = b"\1" * (size // mmap.PAGESIZE)
        assert resident_bytes() - before == pytest.approx(size, rel=0.1)


def result(sample=0.0, learn=0.0, thread=0.0, **sampled):
    return {
        "env_runners": {"sample": sample, **sampled},
        "timers": {"learner_update_timer": learn},
        "learners": {"__all_modules__": {"learner_thread_update_timer": thread}},
    }


def test_waiting_is_the_share_of_time_in_which_nobody_works():
    ppo = {"learners": 0, "asynchronous": False}
    assert waits(result(sample=6, learn=1), 10.0, runners=1, **ppo) == {"runner_wait": 0.4, "learner_wait": 0.9}
    assert waits(result(sample=6), 10.0, runners=2, **ppo)["runner_wait"] == 0.7
    assert waits(result(sample=6), 10.0, runners=0, **ppo)["runner_wait"] == 0.4
    assert waits(result(sample=math.nan), 10.0, runners=1, **ppo)["runner_wait"] == 1
    found = waits(result(sample=6, learn=2, thread=3), 10.0, runners=1, learners=0, asynchronous=True)
    assert found == {"runner_wait": 0.4, "learner_wait": 0.7, "driver_batching": 0.2, "learner_queue": 0.0}


def test_memory_of_runners_and_of_the_process_that_learns_is_added_up():
    TRAFFIC.take()
    TRAFFIC.reads, TRAFFIC.filled = 10, 3
    told = {"memory_reads": 30.0, "memory_writes": 8.0, "memory_slots_used": 7.0, "runner_resident_bytes": 5.0}
    row = memories(result(**told), 2.0)
    assert row["memory_reads_per_second"] == 20
    assert row["memory_writes_per_second"] == 4
    assert row["memory_slots_used"] == 7
    assert row["runner_resident_bytes"] == 5


def train(tmp_path, **changes):
    experiment = dataclasses.replace(
        RL.make("repeat_previous_gru"), env="RepeatPrevious-k1-v0", envs_per_runner=4, batch_size=256, max_seq_len=None,
        minibatch_size=128, epochs=1, stop_at=None, steps=1024, **changes,
    )  # fmt: skip
    run = create_run(tmp_path / "run", describe_run("rl", None, dataclasses.asdict(experiment)))
    rl.train(run, experiment, None)
    return read_metrics(run)


@pytest.mark.slow
@pytest.mark.ray
def test_run_with_a_runner_tells_of_its_waiting_and_of_the_runners_memory(tmp_path, ray_cluster):
    rows = train(tmp_path, runners=1, core="sam", memory={"slots": 256, "word_size": 4, "controller_size": 8})
    for row in rows[1:]:
        # PPO's runner stands still while the learner learns, and the other way round.
        assert 0 < row["runner_wait"] < 1
        assert 0 < row["learner_wait"] < 1
        assert row["runner_wait"] + row["learner_wait"] == pytest.approx(1, abs=0.35)
        assert row["runner_resident_bytes"] > 1e7
    # The agent reads 4 slots with each of 4 heads, when it acts and when it learns.
    assert rows[-1]["memory_reads_per_second"] > 16 * rows[-1]["steps_per_second"]
    assert rows[-1]["memory_slots_used"] > 4


@pytest.mark.slow
@pytest.mark.ray
def test_asynchronous_run_tells_of_the_learners_thread(tmp_path, ray_cluster):
    rows = [row for row in train(tmp_path, runners=1, algorithm="appo") if "loss" in row]
    assert all(0 <= row["learner_wait"] <= 1 and row["learner_queue"] >= 0 for row in rows)
    assert any(row["learner_wait"] < 1 for row in rows)
    assert any(row["driver_batching"] > 0 for row in rows)
