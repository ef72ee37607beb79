import re
from typing import Literal, get_args, get_origin

import pytest

from lukasa.agents.few_shot import LEARNERS, MatchingNetwork, check_learner_options, learner_options, make_learner
from lukasa.memory import UnknownNameError


@pytest.mark.parametrize("name", LEARNERS)
def test_every_learner_has_typed_options_with_defaults_that_pass(name):
    options = learner_options(name)
    assert all(one.default is not one.empty and not isinstance(one.annotation, str) for one in options.values())
    check_learner_options(name, {option: one.default for option, one in options.items()})


def test_options_are_resolved_types():
    options = learner_options("matching")
    assert (options["reads"].annotation, options["reads"].default) == (int, 5)
    assert get_origin(options["encoder"].annotation) is Literal
    assert get_args(options["encoder"].annotation) == ("conv4", "linear", "identity")
    assert not {"shape", "ways"} & set(options)


def test_options_reach_the_learner():
    learner = make_learner("matching", (3,), 5, encoder="linear", channels=7, scale=2.0)
    assert isinstance(learner, MatchingNetwork)
    assert (learner.encoder.size, learner.scale, learner.shape) == (7, 2.0, (3,))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("prototipical", {}, "unknown learner 'prototipical': did you mean 'prototypical'"),
        ("matching", {"chanels": 3}, "unknown option of learner 'matching': 'chanels': did you mean 'chan"),
        ("matching", {"channels": 0}, "option 'channels' of learner 'matching' is 0: expected a whole number of at le"),
        ("matching", {"channels": 2.5}, "is 2.5: expected a whole number"),
        ("matching", {"channels": True}, "is True: expected a whole number"),
        ("matching", {"context": 1}, "is 1: expected True or False"),
        ("matching", {"scale": float("inf")}, "is inf: expected a finite number"),
        ("matching", {"scale": "big"}, "is 'big': expected a finite number"),
        ("matching", {"encoder": "conv5"}, "is 'conv5': choose one of 'conv4', 'linear', 'identity'"),
    ],
)
def test_wrong_name_or_value_is_refused_in_one_sentence(name, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make_learner(name, (20, 20), 5, **options)


def test_unknown_learner_is_an_unknown_name():
    with pytest.raises(UnknownNameError):
        learner_options("proto")


@pytest.mark.parametrize(("shape", "ways", "message"), [((20, 20), 0, "ways of"), ((20, 0), 5, "shape of")])
def test_sizes_that_cannot_be_are_refused(shape, ways, message):
    with pytest.raises(ValueError, match=f"{message} learner 'nearest' is 0: expected a whole number of at least 1"):
        make_learner("nearest", shape, ways)
