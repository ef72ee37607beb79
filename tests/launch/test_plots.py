import matplotlib.image
import numpy as np
import pytest

from launch.errors import UserError
from launch.learning import Subject, plot_learning
from launch.plot_rl import PlotOptions, flat_features, subject
from launch.plots import Curve, draw_episode, draw_learning
from launch.recipes import RL
from launch.runs import MetricsWriter, Run

RANDOM = np.random.default_rng(0)


def is_picture(path):
    image = matplotlib.image.imread(path)
    return image.shape[0] > 300 and image.shape[1] > 600 and image.std() > 0.05


def weights(steps, heads, slots):
    logits = RANDOM.normal(size=(steps, heads, slots)) * 4
    return np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)


def test_validation_is_drawn_beside_the_curve_in_its_colour(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr("launch.plots.save_figure", lambda figure, _: figures.append(figure))
    curves = [Curve("ntm", [10, 20], [3.0, 2.0], validation=[(20, 2.5)]), Curve("lstm", [10], [4.0])]
    draw_learning(curves, tmp_path / "a.png", Subject("t", "tasks", "bits", "sequences", "score"))
    lines = {line.get_label(): line for line in figures[0].axes[0].get_lines()}
    assert set(lines) == {"ntm", "ntm, validation", "lstm"}
    assert (lines["ntm, validation"].get_xdata(), lines["ntm, validation"].get_ydata()) == ((20,), (2.5,))
    assert lines["ntm, validation"].get_color() == lines["ntm"].get_color()


@pytest.mark.parametrize("spread", [(), [0.1, 0.1, 0.1]])
def test_learning_curves_are_drawn_with_chance_best_and_paper(tmp_path, spread):
    curves = [Curve("ntm", [1000, 2000, 3000], [-0.5, 0.1, 0.8], spread)]
    known = Subject("t", "tasks", "return", "steps", "score", chance=-0.5, best=1.0, published=0.5)
    draw_learning(curves, tmp_path / "a.png", known)
    unknown = Subject("t", "tasks", "x", "steps", "score")
    draw_learning([*curves, Curve("gru", [1000], [0.2])], tmp_path / "b.png", unknown)
    assert is_picture(tmp_path / "a.png")
    assert is_picture(tmp_path / "b.png")


@pytest.mark.parametrize(
    ("observations", "actions"),
    [
        (RANDOM.integers(0, 4, 20), RANDOM.integers(0, 4, 20)),
        (RANDOM.normal(size=(20, 30)), RANDOM.normal(size=(20, 2)).astype(np.float32)),
        (RANDOM.integers(0, 255, (20, 5, 5, 3), dtype=np.uint8), RANDOM.integers(0, 3, 20)),
    ],
)
def test_episode_is_drawn_for_every_kind_of_space(tmp_path, observations, actions):
    seen = {"read": weights(20, 2, 16), "write": weights(20, 1, 16)}
    draw_episode({"observation": observations, "action": actions}, seen, tmp_path / "plots" / "e.png", title="t")
    assert is_picture(tmp_path / "plots" / "e.png")


def test_pictures_stand_above_their_steps(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr("launch.plots.save_figure", lambda figure, _: figures.append(figure))
    pictures = np.zeros((4, 3, 3))
    pictures[2] = 1
    shown = {"class": np.array([1, 2, 3, 1]), "answer": np.array([0, 2, 2, 1])}
    draw_episode(shown, {"read": weights(4, 1, 5)}, tmp_path / "e.png", title="t", pictures=pictures)
    strip = figures[0].axes[0].get_images()[0]
    assert strip.get_extent()[:2] == [-0.5, 3.5]
    np.testing.assert_array_equal(np.asarray(strip.get_array()).mean(0), [1] * 6 + [0] * 3 + [1] * 3)
    # A class and an answer of the same number have the same colour.
    assert len({axes.get_images()[0].get_clim() for axes in figures[0].axes[1:3]}) == 1


def test_core_without_slots_is_drawn_by_its_units(tmp_path):
    draw_episode({"input": np.arange(9)}, {"hidden": RANDOM.normal(size=(9, 12))}, tmp_path / "e.png", title="t")
    assert is_picture(tmp_path / "e.png")


def test_nested_observations_become_one_row_of_features():
    nested = {"card": np.arange(3), "rest": (np.ones((3, 2)), np.zeros((3, 1, 2)))}
    assert flat_features(nested).shape == (3, 5)
    np.testing.assert_array_equal(flat_features(np.arange(3)), np.arange(3))


def run_with_metrics(path):
    path.mkdir()
    writer = MetricsWriter(Run(path))
    writer.write({"env_steps": 1, "return_mean": None, "return_std": None})
    writer.write({"env_steps": 2, "return_mean": 0.5, "return_std": 0.1})
    writer.close()
    return Run(path)


def test_runs_of_several_environments_are_refused(tmp_path):
    one, other = RL.make("repeat_previous_gru"), RL.make("tmaze_ntm")
    run = run_with_metrics(tmp_path / "run")
    with pytest.raises(UserError, match="are of 2 environments"):
        plot_learning([(run, one), (run, other)], subject, tmp_path / "a.png")


def test_curves_of_several_runs_share_one_picture(tmp_path):
    run = run_with_metrics(tmp_path / "run")
    experiments = [RL.make(f"repeat_previous_{core}") for core in ("ntm", "gru")]
    path = plot_learning([(run, experiment) for experiment in experiments], subject, tmp_path / "a.png")
    assert is_picture(path)


def test_picture_must_be_a_png_and_metrics_must_be_there(tmp_path):
    run = run_with_metrics(tmp_path / "run")
    experiment = RL.make("repeat_previous_gru")
    with pytest.raises(UserError, match="not a picture"):
        plot_learning([(run, experiment)], subject, tmp_path / "a.jpeg")
    run.metrics_file.unlink()
    with pytest.raises(UserError, match="has no return_mean yet"):
        plot_learning([(run, experiment)], subject, tmp_path / "a.png")


def test_options_have_defaults():
    assert PlotOptions().out is None
