"""Every index of a sparse memory: what it finds, what it forgets, what it refuses."""

import sys

import pytest
import torch

from lukasa.memory.sparse.indexes import INDEXES, Index, index_options, make_index

APPROXIMATE = {"auto": {"exact_up_to": 40}, "lists": {"exact_up_to": 40}, "faiss": {"exact_up_to": 40}, "lsh": {}}
ALL = {"exact": {}, **APPROXIMATE, "faiss-scanning": {}, "lists-scanning": {}}


def drifting_keys(rows: int, generator: torch.Generator, word_size: int = 16) -> torch.Tensor:
    """Keys as an agent makes them: few dimensions, in clusters whose centres move from the first key to the last."""
    clusters, dimensions = max(4, rows // 64), 6
    start, drift = torch.randn(2, clusters, dimensions, generator=generator)
    cluster = torch.randint(clusters, (rows,), generator=generator)
    time = torch.linspace(0, 1, rows).unsqueeze(1)
    points = start[cluster] + time * drift[cluster] + 0.35 * torch.randn(rows, dimensions, generator=generator)
    mixing = torch.randn(dimensions, word_size, generator=generator)
    return points @ mixing + 0.1 * torch.randn(rows, word_size, generator=generator)


def nearest(queries: torch.Tensor, words: torch.Tensor, used: list[int], k: int) -> torch.Tensor:
    """Slot by slot in float64: the k most similar written slots, ties to the lowest."""
    found = torch.full((*queries.shape[:2], k), -1)
    for b, count in enumerate(used):
        for r, query in enumerate(queries[b].double()):
            similar = []
            for slot in range(count):
                word = words[b, slot].double()
                length = float(word.norm())
                similar.append((-float(query @ word) / length if length else 0.0, slot))
            for place, (_, slot) in enumerate(sorted(similar)[:k]):
                found[b, r, place] = slot
    return found


def build(name: str, words: torch.Tensor, **options) -> Index:
    batch_size, slots, word_size = words.shape
    name = name.removesuffix("-scanning")
    return make_index(name, batch_size=batch_size, slots=slots, word_size=word_size, contents=words, **options)


def write(index: Index, words: torch.Tensor, used: list[int], step: int = 20) -> None:
    """Hand out slots in order, some a step, all batch rows at once."""
    for first in range(0, max(used), step):
        pairs = [(b, slot) for b, count in enumerate(used) for slot in range(first, min(count, first + step))]
        rows, slots = zip(*pairs, strict=True)
        index.update(torch.tensor(rows), torch.tensor(slots), words[rows, slots])


def recall(index: Index, words: torch.Tensor, used: list[int], queries: torch.Tensor) -> float:
    exact = build("exact", words)
    exact.rebuild(words, torch.tensor(used))
    return float((index.search(queries, 1) == exact.search(queries, 1)).double().mean())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("used", [[0, 1, 2], [7, 3, 12], [65, 129, 1], [300, 257, 0]])
def test_exact_search_is_brute_force(used, dtype):
    generator = torch.Generator().manual_seed(sum(used))
    words = torch.randn(3, 300, 5, generator=generator, dtype=torch.float64).to(dtype)
    words[:, 2] = 0  # similar to nothing
    queries = torch.randn(3, 4, 5, generator=generator, dtype=torch.float64)
    queries = queries.to(torch.promote_types(dtype, torch.float32))
    index = build("exact", words)
    write(index, words, used, step=7)
    assert index.search(queries, 4).tolist() == nearest(queries, words, used, 4).tolist()


@pytest.mark.parametrize("scanned_at_once", [16, 1000])
def test_exact_search_gives_ties_to_the_lowest_slot(scanned_at_once, monkeypatch):
    monkeypatch.setattr("lukasa.memory.sparse.indexes.exact.SCANNED_AT_ONCE", scanned_at_once)
    words = torch.randint(-3, 4, (2, 70, 4), generator=torch.Generator().manual_seed(0)).float()  # without rounding
    words[:, 20::10] = words[:, 3:4] = torch.tensor([5.0, 0, 0, 0])
    index = build("exact", words)
    index.rebuild(words, torch.tensor([70, 41]))
    queries = torch.tensor([1.0, 0, 0, 0]).expand(2, 1, 4)
    found = index.search(queries, 7)
    assert found[0].tolist() == [[3, 20, 30, 40, 50, 60, found[0, 0, 6].item()]]
    assert found[1, 0, :4].tolist() == [3, 20, 30, 40]


def test_exact_search_in_float64_sees_a_difference_that_float32_cannot():
    words = torch.tensor([[[1.0, 1e-5], [1.0, 0.0]]], dtype=torch.float64)
    index = build("exact", words)
    write(index, words, [2])
    assert index.search(torch.tensor([[[1.0, 0.0]]], dtype=torch.float64), 1).item() == 1


@pytest.mark.parametrize(("name", "options"), ALL.items())
@pytest.mark.parametrize("used", [0, 1, 3, 41, 97])
def test_fewer_written_than_asked_for_ends_in_minus_one(name, options, used):
    words = torch.randn(2, 97, 8, generator=torch.Generator().manual_seed(used))
    index = build(name, words, **options)
    if used:
        write(index, words, [used, used])
    found = index.search(words[:, :1], 50)
    assert found.shape == (2, 1, 50)
    assert (found < used).all()
    for row in found.flatten(0, 1).tolist():
        known = [slot for slot in row if slot >= 0]
        assert row[len(known) :] == [-1] * (50 - len(known))
        assert len(set(known)) == len(known)
        assert len(known) == min(used, 50) or name in ("lsh",)


@pytest.mark.parametrize(("name", "options"), ALL.items())
def test_search_sees_the_update_just_before(name, options):
    words = drifting_keys(240, torch.Generator().manual_seed(1)).view(2, 120, 16)
    index = build(name, words, **options)
    for slot in range(120):
        index.update(torch.tensor([0, 1]), torch.tensor([slot, slot]), words[:, slot])
        assert index.search(words[:, slot : slot + 1], 1).flatten().tolist() == [slot, slot]


@pytest.mark.parametrize(("name", "options"), ALL.items())
def test_overwriting_moves_a_slot(name, options):
    words = drifting_keys(400, torch.Generator().manual_seed(2)).view(2, 200, 16)
    index = build(name, words, **options)
    write(index, words, [200, 200])
    old = words[:, 17].clone()
    words[:, 17] = -4 * old
    index.update(torch.tensor([1, 0]), torch.tensor([17, 17]), words[[1, 0], 17])
    assert index.search(-old.unsqueeze(1), 1).flatten().tolist() == [17, 17]
    assert 17 not in index.search(old.unsqueeze(1), 5).flatten().tolist()


@pytest.mark.parametrize(("name", "options"), ALL.items())
def test_reset_forgets_one_batch_row_and_spares_the_other(name, options):
    words = drifting_keys(300, torch.Generator().manual_seed(3)).view(2, 150, 16)
    index = build(name, words, **options)
    write(index, words, [150, 150])
    queries = words[:, 5:9].clone()
    before = index.search(queries, 3)
    index.reset(torch.tensor([0]))
    after = index.search(queries, 3)
    assert (after[0] == -1).all()
    assert after[1].tolist() == before[1].tolist()
    words[0] = drifting_keys(150, torch.Generator().manual_seed(4))
    for first in range(0, 150, 10):
        slots = torch.arange(first, first + 10)
        index.update(torch.zeros_like(slots), slots, words[0, slots])
    assert index.search(words[:, 60:64], 1)[0].flatten().tolist() == [60, 61, 62, 63]


@pytest.mark.parametrize(("name", "options"), ALL.items())
def test_truncating_hides_slots_until_they_are_written_again(name, options):
    words = drifting_keys(240, torch.Generator().manual_seed(5)).view(2, 120, 16)
    index = build(name, words, **options)
    write(index, words, [120, 120])
    index.truncate(torch.tensor([100, 120]))
    assert (index.search(words[:, 100:120], 4)[0] < 100).all()
    assert index.search(words[1:, 100:120].expand(2, -1, -1), 1)[1].flatten().tolist() == list(range(100, 120))
    words[0, 100] = -words[0, 100]
    index.update(torch.tensor([0]), torch.tensor([100]), words[:1, 100])
    assert index.search(words[:, 100:101], 1)[0].item() == 100
    assert (index.search(words[:, 101:120], 4)[0] < 101).all()


@pytest.mark.parametrize(("name", "options"), ALL.items())
def test_rebuilding_equals_having_been_updated(name, options):
    words = drifting_keys(200, torch.Generator().manual_seed(6)).view(2, 100, 16)
    index = build(name, words, **options)
    index.rebuild(words, torch.tensor([100, 30]))
    assert index.rebuild_seconds > 0
    found = index.search(words, 1).squeeze(2)
    assert found[0].tolist() == list(range(100))
    assert found[1, :30].tolist() == list(range(30))
    assert (found[1] < 30).all()


@pytest.mark.parametrize("name", APPROXIMATE)
def test_approximate_search_finds_drifting_clustered_keys(name):
    generator = torch.Generator().manual_seed(7)
    words = drifting_keys(6000, generator).view(1, 6000, 16)
    index = build(name, words, **({"exact_up_to": 500} if name != "lsh" else {}))
    write(index, words, [6000], step=50)
    changed = torch.randperm(6000, generator=generator)[:2000].sort().values
    words[0, changed] = drifting_keys(2000, generator)
    for slots in changed.split(20):
        index.update(torch.zeros_like(slots), slots, words[0, slots])
    noise = torch.randn(1, 400, 16, generator=generator)
    picked = words[:, torch.randperm(6000, generator=generator)[:400]]
    queries = picked + 0.3 * noise * picked.norm(dim=-1, keepdim=True) / 4
    assert recall(index, words, [6000], queries) >= 0.95


@pytest.mark.parametrize("scanned_centres", [0, 1024])
def test_lists_are_found_by_comparing_with_all_centres_or_through_lists_of_centres(scanned_centres, monkeypatch):
    monkeypatch.setattr("lukasa.memory.sparse.indexes.inverted_lists.SCANNED_CENTRES", scanned_centres)
    monkeypatch.setattr("lukasa.memory.sparse.indexes.inverted_lists.ROWS_PER_LIST", 16)
    words = drifting_keys(4000, torch.Generator().manual_seed(12)).view(1, 4000, 16)
    index = build("faiss", words, exact_up_to=500)
    write(index, words, [4000], step=50)
    looked_for = words[:, ::7]
    assert recall(index, words, [4000], looked_for) == pytest.approx(1, abs=0.01)


def test_updates_in_any_order_of_rows_reach_the_right_row():
    words = drifting_keys(240, torch.Generator().manual_seed(8)).view(3, 80, 16)
    index = build("faiss", words, exact_up_to=40)
    write(index, words, [80, 80, 80])
    words[:, 70:75] = torch.randn(3, 5, 16, generator=torch.Generator().manual_seed(9))
    rows, slots = torch.tensor([2, 0, 1, 2, 0]), torch.tensor([74, 70, 71, 72, 73])
    index.update(rows, slots, words[rows, slots])
    for row, slot in zip(rows.tolist(), slots.tolist(), strict=True):
        assert index.search(words[:, slot : slot + 1], 1)[row].item() == slot


@pytest.mark.parametrize(("name", "options"), ALL.items())
def test_no_update_changes_nothing(name, options):
    words = torch.randn(2, 10, 4, generator=torch.Generator().manual_seed(10))
    index = build(name, words, **options)
    nothing = torch.zeros(0, dtype=torch.int64)
    index.update(nothing, nothing, torch.zeros(0, 4))
    assert (index.search(words[:, :1], 2) == -1).all()


def test_auto_is_exact_until_the_memory_outgrows_it():
    words = drifting_keys(300, torch.Generator().manual_seed(11)).view(1, 300, 16)
    index = build("auto", words, exact_up_to=100)
    write(index, words, [100])
    assert index.name == "exact"
    write(index, words, [101])
    assert index.name == "lists"
    assert index.rebuild_seconds > 0
    assert index.search(words[:, :101], 1).flatten().tolist() == list(range(101))


@pytest.mark.parametrize(("missing", "name"), [(["numba"], "faiss"), (["numba", "faiss"], "lsh")])
def test_auto_falls_back_without_what_it_would_like(missing, name, monkeypatch):
    for package in missing:
        monkeypatch.setitem(sys.modules, package, None)
    words = drifting_keys(300, torch.Generator().manual_seed(12)).view(1, 300, 16)
    index = build("auto", words, exact_up_to=100)
    write(index, words, [90])
    assert index.name == "exact"
    write(index, words, [300])
    assert index.name == name
    assert index.search(words[:, 40:44], 1).flatten().tolist() == [40, 41, 42, 43]


@pytest.mark.parametrize("name", ["lists", "faiss"])
def test_a_missing_package_names_the_extra_and_the_other_indexes(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(ImportError, match=r"pip install '\.\[cpu\]', or choose index .*'exact' or 'lsh'"):
        build(name, torch.zeros(1, 4, 2))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("exakt", {}, "unknown index 'exakt': did you mean 'exact'"),
        ("lsh", {"probes": 8}, "option 'probes' belongs to index 'faiss', not to 'lsh': it takes tables, bucket"),
        ("exact", {"tables": 8}, "belongs to index 'lsh', not to 'exact': it takes none"),
        ("faiss", {"probe": 8}, "unknown option of index 'faiss': 'probe': did you mean 'probes'"),
        ("faiss", {"probes": 0}, "option 'probes' of index 'faiss' is 0: expected a positive int"),
        ("lsh", {"tables": "8"}, "option 'tables' of index 'lsh' is '8': expected a positive int"),
    ],
)
def test_options_that_an_index_does_not_have_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        build(name, torch.zeros(1, 4, 2), **options)


def test_every_index_lists_its_options():
    assert {name: list(index_options(name)) for name in INDEXES} == {
        "auto": ["exact_up_to"],
        "exact": [],
        "lists": ["exact_up_to", "probes"],
        "faiss": ["exact_up_to", "probes"],
        "lsh": ["tables", "bucket"],
    }
