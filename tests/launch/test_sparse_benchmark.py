"""What ``lukasa bench sparse`` counts: full memories, turns, bytes, recall, goals."""

import copy

import pytest
import torch

from lukasa import memory
from lukasa.benchmarks import recall, sparse_pictures, sparse_report
from lukasa.benchmarks.contestants import (
    WARM_UPS,
    WORD,
    Contestant,
    clustered_words,
    full_state,
    make_sam,
    ntm_contestant,
    race,
    sam_contestant,
)
from lukasa.benchmarks.extra_memory import extra_heap, extra_tensors, measure_apart
from lukasa.benchmarks.fitting import fit_line
from lukasa.benchmarks.recall import Agent, compare_indexes, lived_in, trained_agent
from lukasa.launch.cli import main
from lukasa.launch.kinds.supervised.settings import make_sampler
from lukasa.launch.runs.checkpoints import find_checkpoint, load_checkpoint
from tests.launch.refusals import fails

MIB = 2**20


def test_full_state_has_every_slot_written_accessed_and_indexed():
    core = make_sam(40, "exact")
    found = full_state(core, 2).memory
    assert found.used.tolist() == [40, 40]
    assert found.store.usage.accessed_slots().sort(1).values.tolist() == [list(range(40))] * 2
    rows, _ = found.read(torch.arange(40).expand(2, 40))
    assert (rows.norm(dim=2) > 0.3).all()
    assert found.search(rows, 1).squeeze(2).tolist() == [list(range(40))] * 2


def test_clustered_words_lie_nearer_to_their_own_cluster_than_noise_would():
    words = clustered_words(320, WORD, torch.Generator().manual_seed(0))
    assert words[-1].count_nonzero() == 0
    cosines = torch.nn.functional.normalize(words[:-1], dim=1)
    nearest = (cosines @ cosines.T).fill_diagonal_(0).amax(1)
    assert nearest.mean() > 0.7  # of noise in 32 dimensions about 0.5


def test_turns_alternate_and_warm_ups_do_not_count():
    order, told = [], []

    class Noted(Contestant):
        def run(self):
            order.append(self.state)
            self.times.append(float(len(order)))

    pair = [Noted(make_sam(8, "exact"), torch.zeros(1, 1, 9), name) for name in "ab"]
    race(pair, 3, told.append)
    assert "".join(order) == "ab" * (WARM_UPS + 3)
    assert pair[0].times == [2 * WARM_UPS + 1.0, 2 * WARM_UPS + 3.0, 2 * WARM_UPS + 5.0]
    assert len(told) == WARM_UPS + 3


def test_ratio_is_of_times_in_the_same_round():
    slow, fast = (Contestant(make_sam(8, "exact"), torch.zeros(1, 1, 9), None, times) for times in ([2, 40], [1, 20]))
    assert slow.times_as_long_as(fast) == 2


def test_memory_is_carried_over_and_stays_full():
    contestant = sam_contestant(64, 2, 3, "exact")
    before, _ = contestant.state.memory.read(torch.arange(64).expand(2, 64))
    contestant.run()
    after, _ = contestant.state.memory.read(torch.arange(64).expand(2, 64))
    assert contestant.state.memory.used.tolist() == [64, 64]
    assert 0 < (before != after).any(2).sum() < 2 * 64
    assert all(weight.grad is not None for weight in contestant.core.parameters())


def test_tensors_are_counted_as_they_are_allocated():
    class Known(Contestant):
        def run(self):
            gone = torch.zeros(MIB)  # 4 MiB
            del gone
            self.held = torch.zeros(2 * MIB), torch.zeros(MIB, dtype=torch.uint8)  # 8 + 1 MiB
            torch.zeros(4 * MIB)  # 16 MiB on top of that

    assert extra_tensors(Known(make_sam(8, "exact"), torch.zeros(1, 1, 9), None)) == pytest.approx(25 * MIB, abs=1e4)


def test_heap_counts_at_least_the_tensors_of_a_dense_sequence():
    contestant = ntm_contestant(1024, 20)
    contestant.run()
    heap, tensors = extra_heap(contestant), extra_tensors(contestant)
    if heap is None:
        pytest.skip("the C library does not tell what is allocated")
    assert 0.8 * tensors < heap < 1.3 * tensors


def test_extra_memory_grows_with_the_slots_of_a_dense_memory_and_not_of_a_sparse_one():
    def extra(contestant):
        contestant.run()
        return extra_tensors(contestant)

    assert extra(ntm_contestant(2048, 4)) > 1.8 * extra(ntm_contestant(1024, 4))
    assert extra(sam_contestant(4096, 1, 4, "faiss")) < 1.2 * extra(sam_contestant(256, 1, 4, "faiss"))


def test_failure_of_the_process_apart_is_told():
    told = measure_apart("sam", 8, 1, "no such index")
    assert isinstance(told, str)
    assert "'no such index'" in told


@pytest.fixture(scope="module")
def agent():
    torch.manual_seed(0)
    sampler = make_sampler("associative_recall", "train", {})
    sizes = {"input_size": sampler.spec.input_size, "output_size": sampler.spec.output_size}
    options = {"slots": 150, "word_size": 8, "heads": 2, "reads": 2, "index": "exact", "controller_size": 16}
    return Agent(memory.make_core("sam", **sizes, **options), sampler, "untrained")


def test_agent_lives_until_every_slot_is_written_and_its_last_keys_are_kept(agent):
    seen = []
    hook = agent.core.interface.register_forward_hook(lambda _, __, out: seen.append(agent.core.parse(out).keys[0]))
    words, keys = lived_in(agent, queries=5)
    hook.remove()
    assert words.shape == (1, 150, 8)
    assert (words[0].abs().sum(1) > 0).all()
    assert len(seen) >= 150 / 2
    assert torch.equal(keys, torch.stack(seen[-5:]))


def test_recall_of_an_approximate_index_is_against_the_exact_one(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    words, keys = (torch.randn(*shape, generator=generator) for shape in ((1, 50, 8), (6, 2, 8)))

    class FirstTen(recall.INDEXES["exact"]):  # knows only ten slots
        def rebuild(self, words, used):
            super().rebuild(words, used.clamp_max(10))

    monkeypatch.setattr(recall, "INDEXES", {"exact": recall.INDEXES["exact"], "blind": FirstTen})
    monkeypatch.setitem(memory.sparse.indexes.choosing.INDEXES, "blind", FirstTen)
    exact, blind = compare_indexes(words, keys, 3, print)
    cosines = torch.nn.functional.normalize(keys, dim=-1) @ torch.nn.functional.normalize(words[0], dim=-1).T
    best = cosines.topk(3).indices
    assert exact["recall"] == exact["same_slot"] == exact["recall_of_all"] == 1
    assert blind["recall"] == pytest.approx((best[..., 0] < 10).float().mean().item())
    assert 0 < blind["recall"] < 1
    assert blind["recall_of_all"] == pytest.approx((best < 10).float().mean().item())
    assert blind["recall"] == blind["same_slot"]


def test_equally_near_word_in_another_slot_counts_as_found(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    half = torch.randn(1, 10, 8, generator=generator)
    keys = torch.randn(4, 2, 8, generator=generator)

    class SecondHalf(recall.INDEXES["exact"]):
        def search(self, queries, k):
            return super().search(queries, k) % 10 + 10

    monkeypatch.setattr(recall, "INDEXES", {"exact": recall.INDEXES["exact"], "second": SecondHalf})
    monkeypatch.setitem(memory.sparse.indexes.choosing.INDEXES, "second", SecondHalf)
    _, second = compare_indexes(torch.cat([half, half], 1), keys, 1, print)
    assert (second["recall"], second["same_slot"]) == (1, 0)


def test_index_that_is_not_installed_is_left_out_and_told(monkeypatch):
    def missing(*_, **__):
        raise ImportError("FAISS is not installed")

    monkeypatch.setitem(memory.sparse.indexes.choosing.INDEXES, "faiss", missing)
    monkeypatch.setattr("lukasa.memory.sparse.indexes.choosing.check_index_options", lambda *_: None)
    notes = []
    rows = compare_indexes(torch.randn(1, 20, 4), torch.randn(2, 1, 4), 1, notes.append)
    assert [row["index"] for row in rows] == ["exact", "lists", "lsh"]
    assert notes == ["index 'faiss' is not measured: FAISS is not installed"]


def test_trained_agent_has_the_weights_of_its_run_and_more_slots(tmp_path, capsys):
    words = ["--task", "copy", "--core", "sam", "--memory.slots", "30", "--memory.index", "exact"]
    assert main(["train", "task", *words, "--steps", "32", "--out", str(tmp_path / "run")]) == 0
    found = trained_agent(str(tmp_path / "run"), 70, "lsh").core
    assert (found.slots, found.sparse["index"]) == (70, "lsh")
    state = load_checkpoint(find_checkpoint(tmp_path / "run" / "checkpoints", "best"))
    assert torch.equal(found.interface.weight, torch.as_tensor(state["trainer"]["core"]["interface.weight"]))
    capsys.readouterr()


def test_run_of_another_core_is_refused(tmp_path, capsys):
    words = ["--task", "copy", "--core", "gru", "--steps", "16"]
    assert main(["train", "task", *words, "--out", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    assert main(["bench", "sparse", "--quick", "--run", str(tmp_path / "run")]) == 2
    assert "is not one of core 'sam' on a task" in capsys.readouterr().err


def timed(core, slots, ms, ratio=1.0):
    row = {"core": core, "slots": slots, "ms": ms, "low": ms, "high": ms, "ratio_to_smallest": ratio}
    return row | {"index": "faiss", "build_seconds_per_million": 1.0}


@pytest.fixture
def result():
    """Measurements such as a full run gives, on round numbers."""
    found = {
        "experiment": {"steps": 100, "repeats": 7},
        "versions": {"torch": "2"},
        "commit": None,
        "created": "now",
        "seconds": 60.0,
        "notes": ["a note"],
        "first_step": {"slots": 2**24, "seconds": 0.1},
        "times": [timed("sam", 2**10, 1.0), timed("sam", 2**18, 1.5, 1.5), timed("sam", 2**20, 2.0, 2.0)],
        "dense_times": [timed("ntm", 2**10, 11.0), timed("ntm", 2**11, 21.0)],
        "batch": {"rows": 16, "slots": 2**16, "ms": 2.0, "sequences_ratio": 8.0},
        "long_run": {"slots": 2**17, "steps": 33000, "seconds": 50.0, "build_seconds": 1.0, "share": 0.02},
        "recall": [
            {
                "index": name,
                "recall": share,
                "same_slot": share,
                "recall_of_all": share,
                "ms": 1.0,
                "build_seconds": 1.0,
            }
            for name, share in (("exact", 1.0), ("faiss", 0.97), ("lsh", 0.5))
        ],
        "recall_of": {"agent": "copy", "slots": 2**16, "steps": 1000},
        "memory": [
            {"core": "ntm", "slots": 2**8, "heap": 256 * MIB, "tensors": 256 * MIB},
            {"core": "ntm", "slots": 2**9, "heap": 512 * MIB, "tensors": 512 * MIB},
            {"core": "sam", "slots": 2**10, "heap": 8 * MIB, "tensors": 2 * MIB},
            {"core": "sam", "slots": 2**16, "heap": 9 * MIB, "tensors": 2 * MIB},
        ],
    }
    sparse_report.compare(found)
    return found


def goals(result):
    return {goal["what"]: (round(goal["found"], 3), goal["met"]) for goal in result["goals"]}


def test_dense_is_extrapolated_along_its_line_and_marked_so(result):
    smallest, *_, largest = result["against_dense"]["time"]
    assert smallest == {"slots": 2**10, "dense": 11.0, "extrapolated": False, "ratio": 11.0}
    assert largest["extrapolated"]
    assert largest["dense"] == pytest.approx(1 + 10 * 2**10)
    memory_at_16 = result["against_dense"]["memory"][-1]
    assert memory_at_16["dense"] == pytest.approx(2**16 * MIB)
    assert "10,241 *" in sparse_report.markdown(result)


def test_goals_are_held_against_the_measurements(result):
    found = goals(result)
    assert found["time at 2^20 over time at 2^10"] == (2, False)
    assert found["time of the dense NTM over ours at 2^20"] == (5120.5, True)
    assert found["training memory of the dense NTM over ours at 2^16"] == (round(2**16 / 9, 3), True)
    assert found["extra MiB of 100 steps at the largest, tensors"] == (2, True)
    assert found["extra MiB of 100 steps at the largest, with all bookkeeping"] == (9, False)
    assert found["spread of the extra memory over all sizes"] == (0.125, False)
    assert found["time of the public SAM over ours at 262,144"] == (round(346 / 1.5, 3), False)  # as reported
    assert found["sequences a second, 16 rows over 1, 2^16 slots"] == (8, True)
    assert found["top-1 recall of faiss"] == (0.97, True)
    assert found["share of a long run that builds the index"] == (0.02, True)
    assert found["seconds to the first step, 2^24 empty slots"] == (0.1, True)
    assert "time at 2^24 over time at 2^10" not in found


def test_a_public_sam_of_the_same_run_takes_the_place_of_what_was_reported(result):
    result["public_times"] = [{"slots": 2**18, "ms": 650.0, "ratio": 433.0}]
    sparse_report.compare(result)
    assert goals(result)["time of the public SAM over ours at 262,144"] == (433, True)
    assert "650 (433)" in sparse_report.markdown(result)
    assert "in the same run" in sparse_report.markdown(result)


def test_a_folder_without_the_public_sam_is_refused(tmp_path, capsys):
    assert "holds no folder pytorch-dnc" in fails(capsys, "bench", "sparse", "--quick", "--public", str(tmp_path))


def test_goals_of_other_sizes_are_left_out(result):
    other = copy.deepcopy(result)
    other["experiment"]["steps"] = 20
    other["batch"]["rows"] = 4
    other["first_step"]["slots"] = 2**16
    other["times"] = other["times"][1:]
    sparse_report.compare(other)
    gone = {what.split(",")[0].split(" over")[0] for what in goals(result).keys() - goals(other).keys()}
    assert gone == {
        "time at 2^20",
        "sequences a second",
        "extra MiB of 100 steps at the largest",
        "seconds to the first step",
    }


def test_heap_that_is_not_known_leaves_tensors_to_compare(result):
    for row in result["memory"]:
        row["heap"] = None
    sparse_report.compare(result)
    assert goals(result)["training memory of the dense NTM over ours at 2^16"] == (2**15, True)
    assert "Dense/sam is of the tensors" in sparse_report.markdown(result)


def test_tables_and_pictures_show_all_sizes(result, tmp_path, capsys):
    sparse_report.show(result)
    shown = capsys.readouterr().out
    assert all(f"{size:,}" in shown for size in (2**8, 2**9, 2**10, 2**11, 2**16, 2**18, 2**20))
    assert "a note" in shown
    for path in sparse_pictures.save(result, tmp_path / "new"):
        assert path.stat().st_size > 500


def test_line_through_two_points_meets_both():
    base, slope = fit_line([10, 30], [7.0, 17.0])
    assert (base, slope) == (pytest.approx(2), pytest.approx(0.5))
