"""What a sweep tries: lists, drawn numbers, and the options that ask for them."""

import math

import pytest

from lukasa.ground.mistakes import UserError
from lukasa.launch.sweeps.search_space import as_words, combinations, read_space


def test_every_combination_of_lists_is_tried_as_often_as_asked_with_seeds_of_its_own():
    tried = combinations(read_space(["lr=1e-3,1e-4", "memory.slots=64,128"]), samples=2, seed=5)
    assert [tuple(one.values()) for one in tried] == [
        (lr, slots, seed) for lr in ("1e-3", "1e-4") for slots in ("64", "128") for seed in ("5", "6")
    ]


def test_seed_that_is_swept_itself_stays_what_was_asked():
    assert [one["seed"] for one in combinations(read_space(["seed=7,9"]), samples=1, seed=0)] == ["7", "9"]


def test_drawn_numbers_lie_between_their_bounds_and_follow_from_the_seed():
    space = read_space(["lr=loguniform(1e-4,1e-2)", "memory.slots=lograndint(16,64)", "gamma=uniform(0.5,0.9)"])
    tried = combinations(space, samples=200, seed=0)
    assert tried == combinations(space, samples=200, seed=0)
    assert tried != combinations(space, samples=200, seed=1)
    rates = [float(one["lr"]) for one in tried]
    assert 1e-4 <= min(rates) < 2e-4
    assert 5e-3 < max(rates) <= 1e-2
    assert sum(rate < 1e-3 for rate in rates) == pytest.approx(100, abs=5 * math.sqrt(50))
    assert {one["memory.slots"] for one in tried} <= {str(slots) for slots in range(16, 64)}
    assert all(0.5 <= float(one["gamma"]) <= 0.9 for one in tried)


def test_every_kind_of_value_becomes_the_option_that_asks_for_it():
    values = {"memory.slots": "64", "previous_action": "true", "sampler.fixed_length": "false", "lr": "1e-3"}
    expected = "--memory.slots 64 --previous-action true --sampler.fixed_length false --lr 1e-3"
    assert as_words(values) == expected.split()
    assert as_words({"env_settings": "corridor 70"}) == ["--env-settings", "corridor", "70"]


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("lr", "--grid lr cannot be read: expected FIELD=VALUE,VALUE"),
        ("lr=", "--grid lr= cannot be read"),
        ("lr=1e-3,,1e-4", "--grid lr=1e-3,,1e-4 has an empty value"),
        ("lr=logunifrom(1e-4,1e-2)", "unknown distribution 'logunifrom' of lr: did you mean 'loguniform'?"),
        ("lr=loguniform(1e-4)", "expected loguniform(LOW,HIGH) with two numbers"),
        ("memory.slots=randint(1.5,4)", "expected randint(LOW,HIGH) with two whole numbers"),
        ("lr=loguniform(0,1)", "has no numbers in it: expected 0 < LOW < HIGH"),
        ("lr=uniform(2,1)", "has no numbers in it: expected LOW < HIGH"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(word, told):
    with pytest.raises(UserError) as error:
        read_space([word])
    assert told in str(error.value)


def test_field_that_is_named_twice_is_refused():
    with pytest.raises(UserError, match="--grid names lr twice"):
        read_space(["lr=1", "--lr=2"])
