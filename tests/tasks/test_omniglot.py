"""Omniglot's parts, what stands in for it, and its episodes as a task that any core can be trained on."""

import re
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator

from lukasa import memory
from lukasa.agents.sequence import sequence_trainer
from lukasa.tasks import omniglot
from lukasa.tasks.data import DataError
from lukasa.tasks.episodes import class_curriculum
from lukasa.tasks.omniglot import PARTS, OmniglotPresentations, load_omniglot, split_characters
from tests.tasks.drawn import expect, put

MADE: dict[str, Any] = {"part": "background_small1", "source": "generated"}
"""Characters that take no data and little time."""


@pytest.fixture
def no_data(monkeypatch, tmp_path):
    """A machine without Omniglot, and a part that is quick to make."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LUKASA_DATA", str(tmp_path))
    expect(monkeypatch, {"images_background_small1.zip": b"nothing like it"})
    omniglot._part.cache_clear()
    yield tmp_path
    omniglot._part.cache_clear()


def test_train_and_test_share_no_character_and_make_up_all():
    train, test = split_characters("train"), split_characters("test")
    assert (len(train), len(test)) == (1200, 423)
    assert sorted([*train, *test]) == list(range(1623))


def test_fit_and_validation_make_up_train():
    fit, validation = split_characters("fit"), split_characters("validation")
    assert (len(fit), len(validation)) == (1028, 172)
    assert np.array_equal([*fit, *validation], split_characters("train"))


def test_official_parts_are_one_after_the_other():
    assert np.array_equal([*split_characters("background"), *split_characters("evaluation")], split_characters("all"))


def test_split_is_the_same_for_ever():
    assert split_characters("train")[:5].tolist() == [1533, 1329, 158, 761, 1200]


def test_generated_characters_stand_in_where_there_are_none_and_say_so(no_data):
    with pytest.warns(UserWarning, match=r"put it at .*: generated characters stand in for Omniglot"):
        examples = load_omniglot("background_small1")
    assert examples.source == "generated strokes (background_small1, 136 characters)"
    assert examples.values.shape == (136, 20, 20, 20)


def test_real_characters_that_are_nowhere_are_an_error_when_asked_for(no_data):
    with pytest.raises(DataError, match=r"is not on this machine: put it at .*; or take generated characters"):
        load_omniglot("background_small1", source="real")


def test_damaged_file_is_an_error_and_nothing_stands_in(no_data):
    put(no_data, {"images_background_small1.zip": b"cut"})
    with pytest.raises(DataError, match="has 3 bytes, expected 15"):
        load_omniglot("background_small1")


def test_generated_characters_read_no_files(no_data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_omniglot("background_small1", 28, source="generated").shape == (28, 28)


def test_result_can_say_what_it_was_trained_on():
    assert OmniglotPresentations(**MADE).data.startswith("generated strokes")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"part": "trian"}, "part is 'trian': choose one of 'train'"),
        ({"size": 200}, "size is 200, expected a whole number from 4 to 105"),
        ({"source": "made"}, "source is 'made': choose one of 'auto', 'real', 'generated'"),
        ({"presentations": 21}, "presentations is 21, but Omniglot has 20 drawings of each character"),
        ({"classes": 500, "turns": False, "part": "test"}, "classes is 500, but the part 'test' has 423 characters"),
        ({"classes": 1}, "classes is 1, expected a whole number of at least 2"),
        ({"labels": "words"}, "labels is 'words': choose one of 'one-hot', 'string'"),
        ({"classes": 5, "label_values": 4}, "classes is 5, but there are 4 different labels: raise label_values"),
        ({"labels": "string", "label_values": 9}, "label_values is 9, but labels are strings: leave it out"),
    ],
)
def test_settings_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        OmniglotPresentations(**options)


def test_docstring_says_what_the_spec_says():
    spec, text = OmniglotPresentations().spec, OmniglotPresentations.__doc__ or ""
    assert re.findall(r"(?:Chance|Best): ([0-9.]+) accuracy %", text) == [f"{spec.chance:.1f}", f"{spec.best:.1f}"]


def test_same_seed_gives_same_episodes_and_another_seed_others():
    sampler = OmniglotPresentations(**MADE)
    first, again, other = (sampler.sample(2, Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    assert not torch.equal(first.inputs, other.inputs)


def test_augmentation_changes_pictures_and_nothing_else():
    sampler = OmniglotPresentations(**MADE)
    plain = replace(sampler, augment=False)
    one, two = (each.sample(2, Generator().manual_seed(1)) for each in (sampler, plain))
    assert torch.equal(one.targets, two.targets)
    assert torch.equal(one.inputs[..., 400:], two.inputs[..., 400:])
    assert not torch.equal(one.inputs[..., :400], two.inputs[..., :400])


@pytest.mark.parametrize("core", ["lstm", "ntm", "dnc"])
@pytest.mark.parametrize("labels", ["one-hot", "string"])
def test_any_core_takes_a_step_of_training(core, labels):
    torch.manual_seed(0)
    options = {"classes": 3, "presentations": 2, "size": 8, "labels": labels}
    sampler = OmniglotPresentations(**MADE, **options)
    network = memory.make_core(core, input_size=sampler.spec.input_size, output_size=sampler.spec.output_size)
    before = [one.clone() for one in network.parameters()]
    optimizer = torch.optim.Adam(network.parameters())
    result = sequence_trainer(network, sampler, optimizer, Generator().manual_seed(0), batch_size=4).step()
    assert result.score.count == 4 * 3 * 2
    assert any(not torch.equal(one, two) for one, two in zip(before, network.parameters(), strict=True))


def test_class_curriculum_adds_a_class_after_so_many_episodes():
    torch.manual_seed(0)
    sampler = OmniglotPresentations(**MADE, classes=2, presentations=2, size=8, label_values=4)
    network = memory.make_core("lstm", input_size=sampler.spec.input_size, output_size=sampler.spec.output_size)
    curriculum = class_curriculum(2, 4, episodes=4, batch_size=2)
    optimizer = torch.optim.Adam(network.parameters())
    trainer = sequence_trainer(
        network, sampler, optimizer, Generator().manual_seed(0), batch_size=2, curriculum=curriculum
    )
    steps = [trainer.step().score.count // 2 for _ in range(6)]
    assert steps == [4, 4, 6, 6, 8, 8]


def test_every_part_has_a_size():
    assert all(len(split_characters(part)) == count for part, count in PARTS.items())
