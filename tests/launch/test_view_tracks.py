"""A watched core as tracks: they equal its recording, whatever the core."""

import doctest

import numpy as np
import pytest
import torch

from lukasa import memory
from lukasa.launch.pictures.episode_panels import Frames, Rewards, Slots, Strip, Symbols
from lukasa.launch.views import gradients, watching
from lukasa.launch.views.core_tracks import core_view
from lukasa.launch.views.gradients import output_gradients
from lukasa.launch.views.page import describe
from lukasa.launch.views.tracks import films_of, tracks_of
from lukasa.launch.views.view import View
from lukasa.launch.views.watching import core_inputs, watch, words_of
from tests.launch.test_episode_plots import OPTIONS

STEPS = 9


def make(name):
    torch.manual_seed(0)
    return memory.make_core(name, input_size=5, output_size=2, **OPTIONS[name]).eval()


def inputs_for(core, steps=STEPS):
    given = torch.rand(steps, core.input_size, generator=torch.Generator().manual_seed(1))
    return given


def test_examples():
    names = {"memory": memory, "torch": torch, "core_inputs": core_inputs}
    assert doctest.testmod(watching, extraglobs=names).failed == 0
    assert doctest.testmod(gradients).failed == 0


@pytest.mark.parametrize("name", OPTIONS)
def test_every_core_has_tracks_and_a_page(name):
    core = make(name)
    shown = core_view(watch(core, inputs_for(core)))
    assert shown.tracks or shown.films
    view = View("x", STEPS, shown.tracks, films=shown.films, words=shown.words, links=shown.links)
    assert describe(view)["steps"] == STEPS


@pytest.mark.parametrize("name", ["ntm", "dnc", "mann"])
def test_tracks_and_words_are_those_of_a_recording(name):
    core = make(name)
    inputs = inputs_for(core)
    with memory.record(core) as recording, torch.no_grad():
        memory.unroll(core, inputs[None])
    expected = {key: value[0].numpy() for key, value in recording.stacked().items()}
    shown = core_view(watch(core, inputs))
    for kind in ("read", "write"):
        tracks = [track for track in shown.tracks if track.name.startswith(f"{kind} head")]
        assert len(tracks) == expected[kind].shape[1]
        for head, track in enumerate(tracks):
            slots = [int(row) for row in track.rows]
            np.testing.assert_allclose(track.values, expected[kind][:, head, slots], atol=1e-5)
    slots = [int(slot) for slot in shown.words.slots]
    np.testing.assert_allclose(shown.words.values, expected["memory"][:, slots], atol=1e-5)


def test_links_are_the_strongest_of_each_slot():
    core = make("dnc")
    inputs = inputs_for(core)
    with memory.record(core) as recording, torch.no_grad():
        memory.unroll(core, inputs[None])
    links = recording.stacked()["links"][0].numpy()
    shown = core_view(watch(core, inputs)).links
    slots = [int(slot) for slot in shown.slots]
    linked = [slot for slot in slots if links[-1, :, slot].max() > 1e-3 and links[-1, :, slot].argmax() in slots]
    assert len(linked) > STEPS
    for slot in linked:
        column, best = slots.index(slot), links[-1, :, slot].argmax()
        assert slots[shown.following[-1, column]] == best
        np.testing.assert_allclose(shown.strength[-1, column], links[-1, best, slot], atol=1e-5)


@pytest.mark.parametrize("name", ["sam", "sdnc"])
def test_a_million_slots_show_those_that_were_touched(name):
    core = make(name)
    watched = watch(core, inputs_for(core))
    shown = core_view(watched)
    assert all(len(track.rows) < 200 for track in shown.tracks)
    slots = [int(slot) for slot in shown.words.slots]
    with torch.no_grad():
        _, state = memory.unroll(core, inputs_for(core)[None])
    words, _ = state.memory.read(torch.tensor([slots]))
    np.testing.assert_allclose(shown.words.values[-1], words[0].numpy(), atol=0.02)


def test_slots_that_there_is_no_room_for_are_left_out_and_said(monkeypatch):
    monkeypatch.setattr("lukasa.launch.views.core_tracks.MOST_SLOTS", 3)
    shown = core_view(watch(make("sam"), inputs_for(make("sam"))))
    assert len(shown.words.slots) == 3
    assert any("slots that were touched are shown" in note for note in shown.notes)


class Silent(memory.Core):
    """A core that records nothing, with a memory of three slots."""

    def __init__(self):
        super().__init__()
        self.input_size, self.output_size = 5, 2
        self.layer = torch.nn.Linear(5, 4)

    def initial_state(self, batch_size):
        return SilentState(torch.zeros(batch_size, 3, 4), torch.zeros(batch_size, 2))

    def forward(self, inputs, state):
        word = torch.tanh(self.layer(inputs))
        held = torch.cat([word[:, None], state.memory[:, :-1]], 1)
        return word[:, :2], SilentState(held, state.counts + 1)


class SilentState(__import__("typing").NamedTuple):
    memory: torch.Tensor
    counts: torch.Tensor


def test_a_core_that_records_nothing_shows_its_state():
    core = Silent()
    shown = core_view(watch(core, inputs_for(core)))
    names = [track.name for track in shown.tracks]
    assert names == ["memory: length of each word", "counts"]
    np.testing.assert_allclose(shown.tracks[1].values[:, 0], np.arange(1, STEPS + 1))
    assert shown.words.values.shape == (STEPS, 3, 4)


def test_inputs_after_a_sequence_are_read_from_its_end_each():
    core = make("ntm")
    lessons, questions = inputs_for(core)[:4], inputs_for(core)[4:]
    found = watch(core, lessons, questions)
    for place, question in enumerate(questions):
        alone = watch(core, torch.cat([lessons, question[None]]))
        np.testing.assert_allclose(found.recorded["read"][4 + place], alone.recorded["read"][4], atol=1e-6)


def test_words_of_a_slot_that_was_never_written_are_zero():
    watched = watch(make("sam"), inputs_for(make("sam")))
    assert (words_of(watched, [2**20 - 1]) == 0).all()


def test_panels_become_tracks_and_films():
    values = np.random.default_rng(0).random((4, 3))
    panels = [
        Slots("read head", values, np.array([5, 9, 700])),
        Symbols("card", np.array([0, 2, 1, 2])),
        Symbols("turn", np.array([0, 1, 1, 0]), ["left", "right"]),
        Rewards(np.array([0.0, 1.0, np.nan, -1.0])),
        Strip("picture", np.ones((4, 2, 2))),
        Frames("map\nof cells", np.zeros((4, 5, 5))),
    ]
    slots, card, turn, reward = tracks_of(panels)
    assert (slots.rows, slots.row) == (["5", "9", "700"], "slot")
    assert card.values[:, 0].tolist() == [0, 2, 1, 2]
    assert turn.values.tolist() == [[1, 0], [0, 1], [0, 1], [1, 0]]
    assert (reward.form, reward.limits) == ("bars", (-1.0, 1.0))
    strip, frames = films_of(panels)
    assert (strip.images.max(), frames.label) == (0, "map of cells")


def test_gradients_are_of_chosen_outputs_and_what_is_left_out_is_said(monkeypatch):
    core = make("gru")
    inputs = inputs_for(core)

    def readout(outputs):
        return outputs.sum(-1)

    found, notes = output_gradients(core, inputs, readout, range(STEPS), 3, "the sum")
    assert found.steps == [0, 4, 8]
    assert "for 3 of 9 outputs" in notes[0]
    assert output_gradients(core, inputs, readout, range(STEPS), 0, "the sum") == (None, [])
    monkeypatch.setattr("lukasa.launch.views.gradients.MOST_STEPS", 5)
    found, notes = output_gradients(core, inputs, readout, range(STEPS), 30, "the sum")
    assert found.steps == [0, 1, 2, 3, 4]
    assert found.norms["all ways"].shape == (5, STEPS)
    assert "among the first 5 steps" in notes[0]
    found, notes = output_gradients(core, inputs, readout, [7], 30, "the sum")
    assert found is None
    assert "no output is among the first 5 steps" in notes[0]
