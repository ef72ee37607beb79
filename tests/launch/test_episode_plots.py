"""Pictures of an episode: what was seen, done and remembered."""

import gymnasium as gym
import matplotlib.image
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from lukasa import envs, memory
from lukasa.ground.mistakes import UserError
from lukasa.launch.pictures.episode_panels import Features, Frames, Rewards, Slots, Strip, Symbols
from lukasa.launch.pictures.episodes import draw_episode
from lukasa.launch.pictures.memory_panels import NAMES, choose, memory_panels
from lukasa.launch.pictures.observation_panels import (
    action_names,
    action_panels,
    as_images,
    fixed_lag,
    observation_panels,
)

RANDOM = np.random.default_rng(0)
STEPS = 9
OPTIONS = {
    "ntm": {"slots": 128, "word_size": 4, "read_heads": 2, "controller_size": 8},
    "dnc": {"slots": 128, "word_size": 4, "read_heads": 2, "controller_size": 8},
    "dam": {"slots": 32, "word_size": 4, "heads": 2, "controller_size": 8},
    "mann": {"slots": 32, "word_size": 4, "read_heads": 2, "controller_size": 8},
    "sam": {"slots": 2**20, "word_size": 4, "heads": 1, "controller_size": 8},
    "sdnc": {"slots": 2**20, "word_size": 4, "heads": 2, "controller_size": 8},
    "snail": {"length": 8, "filters": 4, "key_size": 4, "value_size": 4},
    "compressive_transformer": {"length": 4, "compressed": 4, "rate": 2, "segment": 2, "size": 8, "mlp_size": 8},
    "neural_map": {"height": 6, "width": 5, "word_size": 4, "filters": 2},
    "mqn": {"length": 8, "size": 6},
    "rmqn": {"length": 8, "size": 6},
    "frmqn": {"length": 8, "size": 6},
    "gtrxl": {"length": 8, "size": 8, "head_size": 4, "mlp_size": 8},
    "act": {"core": "ntm", "core_options": {"slots": 32, "word_size": 4, "controller_size": 8}, "halting_bias": -1.0},
    "dntm": {"slots": 32, "word_size": 4, "address_size": 4, "read_steps": 2, "controller_size": 8},
    "rmc": {"slots": 4, "heads": 2, "head_size": 4},
    "stack_rnn": {"size": 8, "stacks": 6},
    "list_rnn": {"size": 8, "lists": 1, "no_op": True},
    "gated_deltanet": {"size": 8, "heads": 2, "key_size": 4, "value_size": 4},
    "mlstm": {"size": 8, "heads": 2, "key_size": 4, "value_size": 4},
    "shm": {"size": 8, "key_size": 4, "value_size": 4},
    "workbench": {"slots": 8, "word_size": 4, "controller_size": 8, "organisation": "two_levels", "long_slots": 4},
    "lstm": {"size": 8},
    "gru": {"size": 8},
    "mingru": {"size": 8},
    "lru": {"size": 8, "states": 4},
    "lmu": {"size": 8, "order": 4, "window": 6.0},
    "ffm": {"size": 8, "trace_size": 4, "context_size": 2},
    "feedforward": {"size": 8},
}


@torch.no_grad()
def recorded(core: str) -> dict[str, np.ndarray]:
    torch.manual_seed(0)
    made = memory.make_core(core, input_size=3, output_size=2, **OPTIONS[core])
    with memory.record(made) as recording:
        memory.unroll(made, torch.randn(1, STEPS, 3))
    return {name: values[0].numpy() for name, values in recording.stacked().items()}


def drawn(panel):
    figure, axes = plt.subplots()
    panel.draw(axes)
    figure.canvas.draw()
    plt.close(figure)
    return axes


@pytest.mark.parametrize("core", OPTIONS)
def test_memory_of_every_core_is_drawn_whole_and_by_default(tmp_path, core):
    found = recorded(core)
    slots = OPTIONS[core].get("slots")
    few, whole = memory_panels(found, slots=slots), memory_panels(found, slots=slots, show=NAMES)
    assert 0 < len(few) <= len(whole)
    draw_episode(whole, tmp_path / "e.png", title="t", subtitle="s")
    assert matplotlib.image.imread(tmp_path / "e.png").std() > 0.05


@pytest.mark.parametrize(
    ("core", "rows"),
    [
        ("ntm", ["write interpolation gate", "read interpolation gate 1", "read interpolation gate 2"]),
        ("dnc", ["write gate", "allocation gate", "free gate 1", "free gate 2", "head 1 read backward"]),
        ("sdnc", ["write gate 1", "write gate 2", "interpolation gate 1", "interpolation gate 2"]),
        ("mann", ["write gate 1", "write gate 2"]),
    ],
)
def test_gates_have_the_papers_names(core, rows):
    (gates,) = memory_panels(recorded(core), show=("gates",))
    assert list(gates.names)[: len(rows)] == rows
    assert gates.values.shape == (STEPS, len(gates.names))
    assert (gates.values >= 0).all()
    assert (gates.values <= 1).all()


def test_actions_on_stacks_and_lists_are_drawn_above_what_they_hold():
    panels = memory_panels(recorded("stack_rnn"), show=("stacks",))
    assert len(panels) == 8, "four stacks of six"
    actions, held = panels[:2]
    assert actions.label.endswith(" of 6")
    assert list(actions.names) == ["push", "pop"]
    assert list(held.names[:3]) == ["top", "1 below", "2 below"]
    assert held.values.shape == (STEPS, len(held.names))
    actions, held = memory_panels(recorded("list_rnn"), show=("stacks",))
    assert (actions.label, list(actions.names)) == ("list", ["left", "right", "insert", "no-op"])
    middle = list(held.names).index("head")
    assert held.names[middle - 1 : middle + 2] == ["−1", "head", "+1"]
    np.testing.assert_array_equal(held.values[:, middle], recorded("list_rnn")["lists"][:, 0, 100])


def test_relations_of_slots_add_up_to_all_that_is_attended_to():
    found = recorded("rmc")
    to_input, to_others = memory_panels(found, show=("relations",))
    itself = found["slot_attention"].mean(1)[:, range(4), range(4)]
    np.testing.assert_allclose(to_input.values + to_others.values + itself, 1, rtol=1e-5)


def test_shifts_are_named_by_their_distance():
    (gates,) = memory_panels(recorded("ntm"), show=("gates",))
    assert list(gates.names)[3:6] == ["write shift −1", "write shift 0", "write shift +1"]
    assert gates.names[6] == "head 1 read shift −1"


def test_heads_have_panels_of_their_own_over_the_same_slots():
    panels = memory_panels(recorded("sdnc"), slots=2**20, show=("read", "write"))
    assert [panel.caption.partition(":")[0] for panel in panels] == [
        *("read head 1", "read head 2"),
        *("write head 1", "write head 2"),
    ]
    assert all(panel.slots is panels[0].slots for panel in panels)
    assert "of 1,048,576 slots, in the order of their first use" in panels[0].caption


def test_slot_axis_shows_the_numbers_of_the_slots():
    axes = drawn(Slots("c", np.eye(3), np.array([7, 900_000, 12])))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["7", "900,000", "12"]


def test_part_that_nobody_records_is_refused():
    assert choose("read, gates") == ("read", "gates")
    with pytest.raises(UserError, match="option --show has no part 'gate': did you mean 'gates'"):
        choose("gate")


def test_lag_is_marked_where_the_environment_fixes_it():
    assert fixed_lag(envs.make("RepeatPrevious-k4-v0")) == 4
    assert fixed_lag(envs.make("TMaze-L10-v0")) is None
    (age,) = memory_panels(recorded("dnc"), show=("age",), lag=6)
    assert age.mark == (6, "6 steps ago is asked for")
    assert len(age.slots) > 6


@pytest.mark.parametrize(
    ("observations", "shape"),
    [
        (np.zeros((4, 84, 84), np.uint8), (4, 84, 84)),
        (np.zeros((4, 9, 8, 3), np.uint8), (4, 9, 8, 3)),
        (np.zeros((4, 9, 8, 1)), (4, 9, 8)),
        (np.zeros((4, 3, 9, 8)), (4, 9, 8, 3)),
        (np.zeros((4, 4, 84, 84), np.uint8), (4, 84, 84)),
    ],
)
def test_images_are_seen_to_be_images(observations, shape):
    images = as_images(observations)
    assert images is not None
    assert images.shape == shape


@pytest.mark.parametrize("shape", [(4,), (4, 30), (4, 2, 3), (4, 9, 8, 12), (4, 3, 3, 3)])
def test_other_arrays_are_no_images(shape):
    assert as_images(np.zeros(shape)) is None


def test_image_of_numbers_is_spread_from_its_smallest_to_its_largest():
    images = as_images(np.stack([np.full((6, 6), -2.0), np.full((6, 6), np.nan), np.full((6, 6), 2.0)]))
    assert images is not None
    assert [float(image.mean()) for image in images] == [0, 0, 1]


def test_film_strip_has_at_most_a_dozen_frames_from_first_to_last():
    axes = drawn(Frames("observation", np.zeros((100, 6, 6))))
    numbers = [int(frame.get_title()) for frame in axes.child_axes]
    assert (len(numbers), numbers[0], numbers[-1]) == (12, 0, 99)
    assert len(drawn(Frames("observation", np.zeros((1, 6, 6)))).child_axes) == 1


def test_minigrid_is_drawn_by_its_own_pictures():
    env = envs.make("MiniGrid-MemoryS7-v0")
    observation, _ = env.reset(seed=0)
    (panel,) = observation_panels(env, np.stack([observation] * 3))
    shown = env.unwrapped.get_pov_render(16)
    np.testing.assert_array_equal(panel.images[0], shown)
    assert action_names(env)[:3] == ("left", "right", "forward")


def test_parts_of_nested_spaces_have_panels_of_their_own():
    inner = gym.spaces.Tuple((gym.spaces.Box(0, 1, (2,)), gym.spaces.Discrete(3, start=1)))
    space = gym.spaces.Dict({"card": gym.spaces.Discrete(4), "rest": inner})

    class Nested(gym.Env):
        observation_space, action_space = space, inner

    seen = {"card": np.arange(3), "rest": (np.ones((3, 2)), np.array([1, 2, 3]))}
    panels = observation_panels(Nested(), seen)
    assert [(type(panel), panel.label) for panel in panels] == [
        *((Symbols, "card"), (Features, "rest 0"), (Symbols, "rest 1")),
    ]
    assert [panel.label for panel in action_panels(Nested(), seen["rest"])] == ["action 0", "action 1"]


def test_single_numbers_of_multi_discrete_spaces_are_drawn():
    space = gym.spaces.Tuple([gym.spaces.MultiDiscrete([3]), gym.spaces.MultiDiscrete([4], start=[-7])])

    class Nested(gym.Env):
        observation_space, action_space = space, space

    panels = action_panels(Nested(), (np.array([[0], [2]]), np.array([[-7], [-4]])))
    assert [(type(panel), panel.label) for panel in panels] == [(Symbols, "action 0"), (Symbols, "action 1")]
    assert [drawn(panel) is not None for panel in panels] == [True, True]


def test_named_observations_and_actions_are_rows_with_their_names():
    env = envs.make("TMaze-L10-v0")
    (seen,) = observation_panels(env, np.zeros((3, 4), np.float32))
    (done,) = action_panels(env, np.array([1, 1, 0]))
    assert list(seen.names) == ["cue up", "cue down", "corridor", "junction"]
    assert [label.get_text() for label in drawn(done).get_yticklabels()] == ["north", "east", "south", "west"]


def test_rewards_above_and_below_nothing_differ_in_colour():
    axes = drawn(Rewards(np.array([1.0, -1.0, np.nan]), "terminated after 3 steps"))
    colours = [bar.get_facecolor() for bar in axes.patches]
    assert colours[0] != colours[1]
    assert axes.get_title(loc="right") == "terminated after 3 steps"


def test_pictures_are_above_their_steps():
    pictures = np.zeros((4, 3, 3))
    pictures[2] = 1
    strip = drawn(Strip("picture", pictures)).get_images()[0]
    assert strip.get_extent()[:2] == [-0.5, 3.5]
    np.testing.assert_array_equal(np.asarray(strip.get_array()).mean(0), [1] * 6 + [0] * 3 + [1] * 3)


def test_same_number_has_the_same_colour_in_all_panels():
    one, other = (
        np.asarray(drawn(Symbols("s", np.array(values))).get_images()[0].get_array()) for values in ([1, 2], [2, 0])
    )
    np.testing.assert_array_equal(one[0, 1], other[0, 0])
    assert not np.array_equal(one[0, 0], one[0, 1])


def test_long_episode_keeps_its_thin_lines():
    weights = np.zeros((5000, 600))
    weights[3333, 333] = 1
    image = drawn(Slots("c", weights, np.arange(600))).get_images()[0].get_array()
    assert np.asarray(image).max() == 1
    assert max(np.asarray(image).shape) <= 1600
