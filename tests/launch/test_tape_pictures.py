"""Heads on tapes, drawn."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from lukasa import envs
from lukasa.launch.pictures.episodes import draw_episode
from lukasa.launch.pictures.tape_panels import Tape, Written, tape_panels


def played(env_id, **settings):
    env = envs.make(env_id, **settings)
    env.reset(seed=1)
    over = False
    while not over:
        over = env.step(env.unwrapped.oracle())[2]
    return env.unwrapped.tape_trace()


@pytest.mark.parametrize(
    ("env_id", "labels"),
    [
        ("TapeReverse-L10-v0", ["input"]),
        ("TapeForwardReverse-L10-v0", ["input", "memory"]),
        ("TapeAddition-R3-L5-v0", ["input 1", "input 2", "input 3"]),
    ],
)
def test_every_tape_has_a_panel_with_the_way_of_its_head(env_id, labels, tmp_path):
    trace = played(env_id)
    panels = tape_panels(trace)
    assert [panel.label for panel in panels if isinstance(panel, Tape)] == labels
    assert isinstance(panels[-1], Written)
    draw_episode(panels, tmp_path / "picture.png", title="an episode")
    assert (tmp_path / "picture.png").stat().st_size > 5000


def test_the_line_is_where_the_head_was_and_the_cells_hold_what_they_held():
    trace = played("TapeCopy-L10-v0", shortest=4, length=4)
    (tape, written) = tape_panels(trace)
    assert tape.heads.tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(tape.values[0], trace.cells[0])
    _, axes = plt.subplots()
    tape.draw(axes)
    assert axes.lines[0].get_ydata().tolist() == [0, 1, 2, 3]
    assert {text.get_text() for text in axes.texts} <= {str(symbol) for symbol in trace.cells[0]}
    plt.close()
    assert written.right.all()
