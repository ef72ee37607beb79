import matplotlib.colors
import matplotlib.image
import numpy as np
import pytest

from lukasa.ground.mistakes import UserError
from lukasa.launch.comparing.curves import plot_learning
from lukasa.launch.comparing.several_seeds import Compared
from lukasa.launch.kinds.rl.kind import KIND, subject
from lukasa.launch.kinds.rl.options import RL
from lukasa.launch.kinds.rl.pictures import PlotOptions
from lukasa.launch.kinds.subjects import Subject
from lukasa.launch.pictures.formats import picture_format
from lukasa.launch.pictures.learning import Curve, draw_learning
from lukasa.launch.runs.directory import Run
from lukasa.launch.runs.metrics import MetricsWriter

RANDOM = np.random.default_rng(0)


def is_picture(path):
    image = matplotlib.image.imread(path)
    return image.shape[0] > 300 and image.shape[1] > 600 and image.std() > 0.05


@pytest.fixture
def figures(monkeypatch):
    """What is drawn, kept instead of written."""
    kept = []
    monkeypatch.setattr("lukasa.launch.pictures.learning.save_figure", lambda figure, _: kept.append(figure))
    return kept


def test_validation_is_drawn_beside_the_curve_in_its_colour(tmp_path, figures):
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


def alone(run, experiment):
    return Compared(run.path, KIND, [(run, experiment)])


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
        plot_learning([alone(run, one), alone(run, other)], subject, tmp_path / "a.png")


def test_curves_of_several_runs_share_one_picture(tmp_path):
    run = run_with_metrics(tmp_path / "run")
    experiments = [RL.make(f"repeat_previous_{core}") for core in ("ntm", "gru")]
    path = plot_learning([alone(run, experiment) for experiment in experiments], subject, tmp_path / "a.png")
    assert is_picture(path)


@pytest.mark.parametrize("name", ["a.png", "a.pdf", "a.svg", "a.PDF"])
def test_picture_is_written_in_the_format_of_its_name(tmp_path, name):
    draw_learning([Curve("ntm", [0, 1e6], [0.0, 1.0])], tmp_path / name, Subject("t", "tasks", "x", "steps", "score"))
    content = (tmp_path / name).read_bytes()
    assert content.startswith({"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}[name[2:].lower()])
    if b"%PDF" in content:
        assert b"/FontFile2" in content  # the font's outlines are inside
        assert b"/Type3" not in content


@pytest.mark.parametrize("name", ["a.pdf", "a.svg"])
def test_same_picture_is_the_same_file(tmp_path, name):
    files = [tmp_path / folder / name for folder in ("one", "other")]
    for path in files:
        draw_learning([Curve("ntm", [0, 1], [0.0, 1.0])], path, Subject("t", "tasks", "x", "steps", "score"))
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("name", ["a.jpeg", "a", "a.png.", "png"])
def test_picture_of_an_unknown_format_is_refused(tmp_path, name):
    run = run_with_metrics(tmp_path / "run")
    with pytest.raises(UserError, match=r"not a picture: give a file that ends in \.png, \.pdf or \.svg"):
        plot_learning([alone(run, RL.make("repeat_previous_gru"))], subject, tmp_path / name)
    with pytest.raises(UserError, match="not a picture"):
        picture_format(name, None)


def test_format_is_that_of_the_option_or_of_the_file():
    assert picture_format("a.svg", "svg") == "svg"
    with pytest.raises(UserError, match=r"--out a\.png and --format svg contradict each other"):
        picture_format("a.png", "svg")


@pytest.mark.parametrize(
    "rows", ["", '{"env_steps": 1, "return_mean": null}\n', '{"env_steps": 1, "return_mean": NaN}\n']
)
def test_run_without_a_score_is_refused(tmp_path, rows):
    run = Run(tmp_path)
    run.metrics_file.write_text(rows)
    with pytest.raises(UserError, match="has no return_mean yet"):
        plot_learning([alone(run, RL.make("repeat_previous_gru"))], subject, tmp_path / "a.png")


def test_rows_that_are_no_numbers_are_left_out_and_one_row_is_seen(tmp_path, figures):
    run = Run(tmp_path)
    scores = ["NaN", "0.25", "null", "Infinity"]
    run.metrics_file.write_text(
        "".join(f'{{"env_steps": {step}, "return_mean": {score}}}\n' for step, score in enumerate(scores))
    )
    plot_learning([alone(run, RL.make("repeat_previous_gru"))], subject, tmp_path / "a.png")
    line = figures[0].axes[0].get_lines()[0]
    assert (list(line.get_xdata()), list(line.get_ydata()), line.get_marker()) == ([1], [0.25], "o")


def test_lessons_are_marked_where_they_began(tmp_path, figures):
    unit = Subject("t", "tasks", "error %", "sequences", "score")
    draw_learning([Curve("ntm", [10, 20, 30], [3, 2, 1], levels=[1, 1, 2])], tmp_path / "a.png", unit)
    assert [text.get_text() for text in figures[0].axes[0].texts] == ["lesson 1", "2"]
    many = Curve("ntm", range(40), range(40), levels=range(40), stage="level")
    draw_learning([many], tmp_path / "a.png", unit)
    assert figures[1].axes[1].get_ylabel() == "level of the curriculum"


def test_band_and_runs_are_drawn_in_the_colour_of_their_line(tmp_path, figures):
    line = {"low": [0.0, 0.5], "high": [0.5, 1.0], "band": "95 % of 5 seeds", "members": [([1, 2], [0.1, 0.6])]}
    curves = [Curve("ntm", [1, 2], [0.2, 0.7], **line), Curve("gru", [1, 2], [0.1, 0.2], **line)]
    draw_learning(curves, tmp_path / "a.png", Subject("t", "tasks", "return", "steps", "score"))
    axes = figures[0].axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["ntm", "gru", "95 % of 5 seeds"]
    mean, member = axes.get_lines()[:2]
    assert mean.get_color() == member.get_color()
    np.testing.assert_allclose(axes.collections[0].get_facecolor()[0, :3], matplotlib.colors.to_rgb(mean.get_color()))


def test_options_have_defaults():
    assert PlotOptions().out is None
