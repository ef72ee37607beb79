"""A neural dictionary answers and learns as the equations of its papers say."""

import copy

import pytest
import torch

from lukasa.memory.sparse import NeuralDictionary, UnstorableError
from lukasa.memory.sparse.dictionary.estimates import inverse_distance, squared_distances, weighted_mean
from tests.memory.sparse.dictionary.loops import LoopDictionary

W = 3


def keys_of(count, seed=0, size=W, dtype=torch.float64):
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def of(dictionary, keys, values, which=0):
    return dictionary.update(torch.full((len(keys),), which), keys, torch.as_tensor(values, dtype=keys.dtype))


@pytest.mark.parametrize(("kernel", "rule"), [("inverse", "average"), ("mean", "largest")])
def test_a_life_of_lookups_and_updates_equals_loops(kernel, rule):
    """Full after 20 entries: from then on every new key evicts the one least recently used, and some keys come back."""
    options = {"neighbours": 4, "tolerance": 1e-9, "kernel": kernel, "rule": rule}
    dictionary = NeuralDictionary(W, 20, dictionaries=2, dtype=torch.float64, **options)
    loops = [LoopDictionary(20, **options) for _ in range(2)]
    pool = keys_of(40)
    generator = torch.Generator().manual_seed(1)
    for _ in range(80):
        which, row = (int(torch.randint(high, (), generator=generator)) for high in (2, 40))
        value = float(torch.randn((), generator=generator, dtype=torch.float64))
        slot = of(dictionary, pool[row : row + 1], [value], which)
        assert int(slot) == loops[which].update_one(pool[row].tolist(), value)
        queries = keys_of(2, int(torch.randint(1000, (), generator=generator)))
        expected = torch.tensor([loop.lookup(queries.tolist()) for loop in loops], dtype=torch.float64).T
        torch.testing.assert_close(dictionary(queries).detach(), expected, rtol=1e-12, atol=1e-12)
    assert dictionary.used.tolist() == [20, 20]


def test_a_batch_of_updates_equals_one_at_a_time():
    batched, single = (NeuralDictionary(W, 1000, dictionaries=3, dtype=torch.float64) for _ in range(2))
    pool = keys_of(100)
    generator = torch.Generator().manual_seed(2)
    rows = torch.randint(100, (300,), generator=generator)
    which = torch.randint(3, (300,), generator=generator)
    values = torch.randn(300, generator=generator, dtype=torch.float64)
    slots = batched.update(which, pool[rows], values)
    alone = [single.update(which[i : i + 1], pool[rows[i]][None], values[i : i + 1]) for i in range(300)]
    assert torch.equal(batched.used, single.used)
    torch.testing.assert_close(batched(pool).detach(), single(pool).detach(), rtol=1e-12, atol=1e-12)
    # a batch appends what is new behind all that it finds, so that slots, not contents, may differ
    assert len({(int(a), int(b)) for a, b in zip(which, slots, strict=True)}) == len(
        {(int(a), int(b)) for a, b in zip(which, torch.cat(alone), strict=True)}
    )


def test_an_empty_dictionary_answers_nothing_and_passes_no_gradient():
    dictionary = NeuralDictionary(W, 10, dictionaries=2)
    queries = torch.ones(4, W, requires_grad=True)
    answers = dictionary(queries)
    assert answers.tolist() == [[0.0, 0.0]] * 4
    answers.sum().backward()
    assert queries.grad is not None
    assert not queries.grad.any()
    assert dictionary.learn(0.1) == 0
    assert not len(dictionary.update(torch.empty(0, dtype=torch.int64), torch.empty(0, W), torch.empty(0)))


def test_fewer_entries_than_neighbours_are_all_that_count():
    dictionary = NeuralDictionary(W, 10, neighbours=50, dtype=torch.float64)
    keys = keys_of(3)
    of(dictionary, keys, [1.0, 2.0, 4.0])
    query = torch.zeros(1, W, dtype=torch.float64)
    weights = 1 / (keys.square().sum(-1) + 1e-3)
    expected = (weights * torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)).sum() / weights.sum()
    torch.testing.assert_close(dictionary(query).detach(), expected.view(1, 1), rtol=1e-12, atol=0)


def test_ties_are_neighbours_by_lowest_slot():
    """Eight corners of a cube are equally far from its centre; two of them are asked for."""
    dictionary = NeuralDictionary(W, 10, neighbours=2, dtype=torch.float64)
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 3)
    of(dictionary, corners, torch.arange(8.0))
    found = dictionary.look_up(torch.zeros(1, W, dtype=torch.float64))
    assert found.slots.tolist() == [[[0, 1]]]
    assert dictionary(torch.zeros(1, W)).item() == 0.5


def test_duplicates_in_one_update_are_one_entry():
    dictionary = NeuralDictionary(W, 10, rate=0.5, dtype=torch.float64)
    key = keys_of(1)
    slots = of(dictionary, key.expand(3, W), [4.0, 8.0, 0.0])
    assert slots.tolist() == [0, 0, 0]
    assert dictionary.used.tolist() == [1]
    assert dictionary(key).item() == 3.0  # 4, then 6, then 3


def test_what_was_least_recently_a_neighbour_is_overwritten():
    dictionary = NeuralDictionary(1, 3, neighbours=1)
    of(dictionary, torch.tensor([[0.0], [1.0], [2.0]]), [10.0, 11.0, 12.0])
    dictionary(torch.tensor([[0.0], [2.1]]))
    assert of(dictionary, torch.tensor([[5.0]]), [15.0]).tolist() == [1]
    dictionary(torch.tensor([[0.0]]), touch=False)
    assert of(dictionary, torch.tensor([[6.0]]), [16.0]).tolist() == [0]


def test_gradients_of_query_keys_and_values():
    keys, values = keys_of(5, 1).view(1, 5, W).requires_grad_(), keys_of(5, 2, 1).view(1, 5).requires_grad_()
    query = keys_of(1, 3).requires_grad_()
    there = torch.tensor([[True, True, False, True, True]])

    def lookup(query, keys, values):
        return weighted_mean(values, inverse_distance(squared_distances(query, keys), 1e-3), there)

    assert torch.autograd.gradcheck(lookup, (query, keys, values))
    zero = query.detach().clone().requires_grad_()  # a key that is the query itself
    assert torch.autograd.gradcheck(lookup, (zero, torch.cat([query.detach()[None], keys.detach()[:, 1:]], 1), values))


def test_learning_moves_the_neighbours_against_the_gradient_of_a_dense_twin():
    dictionary = NeuralDictionary(W, 100, dictionaries=2, neighbours=60, dtype=torch.float64)
    keys, values = [keys_of(30, 1), keys_of(20, 2)], [keys_of(30, 3, 1).flatten(), keys_of(20, 4, 1).flatten()]
    for one in range(2):
        of(dictionary, keys[one], values[one], one)
    twins = [part.clone().requires_grad_() for part in (*keys, *values)]
    queries, mine = keys_of(6, 5).requires_grad_(), keys_of(6, 5).requires_grad_()
    dense = torch.stack(
        [
            weighted_mean(
                value, inverse_distance(squared_distances(queries, key.expand(6, *key.shape)), 1e-3), torch.tensor(True)
            )
            for key, value in zip(twins[:2], twins[2:], strict=True)
        ],
        -1,
    )
    answers = dictionary(mine)
    torch.testing.assert_close(answers, dense, rtol=1e-12, atol=1e-12)
    (dense.square().sum()).backward()
    (answers[:3].square().sum()).backward(retain_graph=True)
    (answers[3:].square().sum()).backward()
    torch.testing.assert_close(mine.grad, queries.grad, rtol=1e-10, atol=1e-12)
    assert dictionary.learn(0.1, 0.01) == 50
    for one in range(2):
        now, value = dictionary.entries.contents()[:2]
        length = len(keys[one])
        torch.testing.assert_close(now[one, :length], twins[one] - 0.1 * twins[one].grad, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(
            value[one, :length], twins[2 + one] - 0.01 * twins[2 + one].grad, rtol=1e-10, atol=1e-12
        )
    assert dictionary.learn(0.1) == 0


def test_an_entry_evicted_since_the_lookup_is_left_alone():
    dictionary = NeuralDictionary(1, 2, neighbours=2)
    of(dictionary, torch.tensor([[0.0], [1.0]]), [0.0, 1.0])
    dictionary(torch.tensor([[0.25]])).sum().backward()
    assert of(dictionary, torch.tensor([[7.0]]), [7.0]).tolist() == [0]
    assert dictionary.learn(1.0) == 1
    assert dictionary.entries.contents()[0][0, 0].item() == 7.0


def test_longer_keys_than_before_are_found():
    """Their words are made anew, with the order of use and the values kept."""
    dictionary = NeuralDictionary(W, 100, neighbours=1, dtype=torch.float64)
    keys = torch.cat([keys_of(10) * 10.0**power for power in range(-3, 4)])
    for i in range(len(keys)):
        of(dictionary, keys[i : i + 1], [float(i)])
    assert dictionary.look_up(keys).slots.flatten().tolist() == list(range(70))


@pytest.mark.parametrize("index", ["auto", "lists", "faiss"])
def test_beyond_exact_search_the_neighbours_are_nearly_all_found(index):
    dictionary = NeuralDictionary(16, 1 << 15, neighbours=10, index=index, index_options={"exact_up_to": 1000})
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(200, 16, generator=generator)
    keys = centres[torch.randint(200, (4000,), generator=generator)] + 0.3 * torch.randn(4000, 16, generator=generator)
    dictionary.update(torch.zeros(len(keys), dtype=torch.int64), keys, keys[:, 0])
    queries = keys[:50] + 0.05
    found = dictionary.look_up(queries).slots[0]
    truth = torch.cdist(queries, dictionary.entries.contents()[0][0]).topk(10, largest=False).indices
    shared = [len(set(a.tolist()) & set(b.tolist())) for a, b in zip(found, truth, strict=True)]
    assert sum(shared) / 500 > 0.95


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), 1e30])
def test_what_cannot_be_kept_is_refused_before_anything_changes(broken):
    dictionary = NeuralDictionary(W, 10)
    of(dictionary, torch.ones(1, W), [1.0])
    keys = torch.ones(3, W)
    keys[1, 2] = broken
    with pytest.raises(UnstorableError, match="key 1 holds"):
        of(dictionary, keys, [0.0, 0.0, 0.0])
    with pytest.raises(UnstorableError, match="value 2 holds"):
        of(dictionary, torch.ones(3, W), [0.0, 0.0, broken])
    with pytest.raises(UnstorableError, match="query 1 of row 0"):
        dictionary(keys)
    assert dictionary.used.tolist() == [1]
    assert dictionary(torch.ones(1, W)).item() == 1.0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"slots": 0}, "slots is 0"),
        ({"neighbours": 0}, "neighbours is 0"),
        ({"delta": 0.0}, "delta is 0.0"),
        ({"rate": 1.5}, "rate is 1.5"),
        ({"tolerance": -1.0}, "tolerance is -1.0"),
        ({"kernel": "gauss"}, "kernel is 'gauss'"),
        ({"rule": "last"}, "rule is 'last'"),
        ({"dtype": torch.float16}, "float32 or float64"),
        ({"slots": 1 << 40}, "GiB"),
        ({"index": "lsh"}, "index 'lsh' finds what lies in the same direction"),
    ],
)
def test_options_out_of_bounds_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        NeuralDictionary(**{"key_size": W, "slots": 10, **options})


def test_shapes_that_do_not_fit_are_refused():
    dictionary = NeuralDictionary(W, 10, dictionaries=2)
    with pytest.raises(ValueError, match="do not fit keys of 3 numbers"):
        dictionary(torch.ones(2, W + 1))
    with pytest.raises(ValueError, match="do not fit: expected"):
        dictionary.update(torch.zeros(2, dtype=torch.int64), torch.ones(2, W), torch.ones(3))
    with pytest.raises(ValueError, match="which names dictionaries 0 to 2: there are 2"):
        dictionary.update(torch.tensor([0, 2]), torch.ones(2, W), torch.ones(2))


def test_a_copy_is_a_copy():
    dictionary = NeuralDictionary(W, 10)
    of(dictionary, torch.ones(1, W), [1.0])
    other = copy.deepcopy(dictionary)
    of(other, torch.zeros(1, W), [5.0])
    assert dictionary.used.tolist() == [1]
    assert other.used.tolist() == [2]
    assert dictionary(torch.zeros(1, W)).item() == 1.0


def test_any_shape_of_queries_in_half_precision_too():
    dictionary = NeuralDictionary(W, 10, dictionaries=2)
    of(dictionary, torch.ones(1, W), [1.0], 1)
    answers = dictionary(torch.ones(4, 5, W, dtype=torch.bfloat16))
    assert answers.shape == (4, 5, 2)
    assert answers.dtype == torch.float32
    assert answers[..., 1].eq(1).all()
    assert not answers[..., 0].any()
    with torch.inference_mode():
        assert dictionary(torch.ones(W)).tolist() == [0.0, 1.0]
        of(dictionary, torch.zeros(1, W), [1.0], 0)


def test_each_query_may_be_for_one_dictionary():
    dictionary = NeuralDictionary(W, 100, dictionaries=3, neighbours=4, dtype=torch.float64)
    dictionary.update(torch.arange(60) % 3, keys_of(60), keys_of(60, 1, 1).flatten())
    queries, twins = keys_of(7, 2).requires_grad_(), keys_of(7, 2).requires_grad_()
    which = torch.tensor([2, 0, 2, 2, 0, 2, 2])
    answers, whole = dictionary(queries, which), dictionary(twins)
    torch.testing.assert_close(answers, whole.gather(1, which.unsqueeze(1)).squeeze(1), rtol=1e-12, atol=1e-12)
    answers.square().sum().backward()
    moved = dictionary.learn(0.5)
    assert moved <= 28
    whole.gather(1, which.unsqueeze(1)).square().sum().backward()
    torch.testing.assert_close(queries.grad, twins.grad, rtol=1e-10, atol=1e-12)
    with pytest.raises(ValueError, match="which names dictionaries 0 to 3"):
        dictionary(queries, which + (which == 2))


def test_only_the_dictionary_that_was_asked_counts_its_neighbours_as_used():
    dictionary = NeuralDictionary(1, 2, dictionaries=2, neighbours=1)
    dictionary.update(torch.tensor([0, 1, 0, 1]), torch.tensor([[0.0], [0.0], [1.0], [1.0]]), torch.zeros(4))
    dictionary(torch.tensor([[0.0]]), torch.tensor([0]))
    assert dictionary.update(torch.tensor([0, 1]), torch.tensor([[5.0], [5.0]]), torch.zeros(2)).tolist() == [1, 0]
