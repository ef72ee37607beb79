"""Whole runs of few-shot training through the command line, as small as they get."""

import json
import os
import signal
import subprocess
import sys
import time

import matplotlib.image
import numpy as np
import pytest
import torch

from lukasa.launch.cli import main
from lukasa.launch.kinds.ablation import named
from lukasa.launch.kinds.few_shot.drawings import Named, draw_confusion, draw_wrong
from lukasa.launch.runs.checkpoints import list_checkpoints, load_checkpoint
from lukasa.launch.runs.directory import Run, open_run, read_metrics
from tests.tasks.drawn import bits, png, zipped

DATA = "--source generated --part background_small1 --size 16 --options.channels 4"
SMALL = f"{DATA} --ways 3 --queries 2 --report-every 12 --batch-size 4"
# Pictures that are augmented at random, a rate that falls, and a learner that draws an order for itself.
MOVING = (
    f"--learner sequence --options.core gru --options.core-options size 6 {SMALL} --augment --schedule cosine --lr 0.01"
)
STEPS = 240
COUNTED = ("episodes", "loss", "score", "lr", "validation")


def train(run: Run, *argv: str) -> int:
    return main(["train", "few-shot", *argv, "--out", str(run.path)])


def start(run: Run, *argv: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "lukasa.launch", "train", "few-shot", *argv, "--out", str(run.path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_rows(process: subprocess.Popen[str], run: Run, count: int) -> None:
    """Until the run has measured some lines; fails with its words when it ends before."""
    end = time.monotonic() + 100
    while len(read_metrics(run)) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "the run takes too long"
        time.sleep(0.01)


def measured(run: Run) -> list[tuple]:
    """What does not depend on the clock."""
    return [tuple(row.get(name) for name in COUNTED) for row in read_metrics(run)]


def new_run(factory) -> Run:
    return Run(factory.mktemp("runs") / "run", "episodes")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A small Prototypical Network after a few batches."""
    run = new_run(tmp_path_factory)
    assert train(run, *SMALL.split(), "--steps", "48") == 0
    return run


@pytest.mark.slow
def test_killed_run_resumes_to_the_losses_of_the_uninterrupted_one(tmp_path_factory, capsys):
    whole, killed = new_run(tmp_path_factory), new_run(tmp_path_factory)
    options = [*MOVING.split(), "--steps", str(STEPS)]
    assert train(whole, *options) == 0
    process = start(killed, *options, "--checkpoint-every", "0.05")
    wait_for_rows(process, killed, 4)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    lines = len(read_metrics(killed))
    assert 0 < list_checkpoints(killed.checkpoints)[-1].step < STEPS
    process = start(killed, "--resume", "--checkpoint-every", "1000")
    wait_for_rows(process, killed, lines + 2)
    process.send_signal(signal.SIGTERM)  # a second cut, at some batch, that saves
    out, told = process.communicate(timeout=100)
    assert process.returncode == 128 + signal.SIGTERM, out + told
    assert f"-m lukasa.launch train few-shot --out {killed.path} --resume" in told
    assert train(killed, "--resume") == 0
    assert measured(killed) == measured(whole)
    learners = [load_checkpoint(list_checkpoints(run.checkpoints)[-1])["trainer"]["learner"] for run in (killed, whole)]
    assert all((learners[0][name] == learners[1][name]).all() for name in learners[0])


def test_metrics_count_episodes(trained):
    rows = read_metrics(trained)
    assert [row["episodes"] for row in rows] == [12, 24, 36, 48]
    assert {"loss", "score", "lr", "batches", "seconds", "episodes_per_second"} <= set(rows[0])
    run, config = open_run(trained.path)
    assert (run.step_key, config["kind"]) == ("episodes", "few-shot")


def test_validation_is_measured_and_changes_nothing(tmp_path):
    runs = [Run(tmp_path / name, "episodes") for name in ("with", "without")]
    for run, more in zip(runs, (["--validate-every", "24"], []), strict=True):
        assert train(run, *SMALL.split(), "--part", "fit", "--steps", "48", *more) == 0
    rows = read_metrics(runs[0])
    assert [row["episodes"] for row in rows if "validation" in row] == [24, 48]
    assert all(20 < row["validation"] < 100 for row in rows if "validation" in row)
    assert [row["loss"] for row in rows] == [row["loss"] for row in read_metrics(runs[1])]


def test_prototypical_network_learns_generated_characters(tmp_path):
    run = Run(tmp_path / "run", "episodes")
    small = f"omniglot_prototypical {DATA} --options.channels 16 --ways 10 --schedule constant"
    assert train(run, *small.split(), "--steps", "120", "--report-every", "20") == 0
    scores = [row["score"] for row in read_metrics(run)]
    assert scores[-1] > max(50, scores[0] + 10)


def test_stop_at_ends_a_run(tmp_path, capsys):
    run = Run(tmp_path / "run", "episodes")
    assert train(run, *SMALL.split(), "--steps", "1000", "--stop-at", "1") == 0
    assert read_metrics(run)[-1]["episodes"] == 12
    assert "mean accuracy %" in capsys.readouterr().out


def test_not_a_number_stops_the_run_with_code_1(tmp_path, capsys, monkeypatch):
    run = Run(tmp_path / "run", "episodes")
    original = torch.optim.Adam.step

    def diverge(self, closure=None):
        original(self, closure)
        self.param_groups[0]["params"][0].data.fill_(float("nan"))

    monkeypatch.setattr(torch.optim.Adam, "step", diverge)
    assert train(run, *SMALL.split(), "--steps", "48") == 1
    assert "the loss is nan at batch 2" in capsys.readouterr().err


def test_resuming_as_something_else_is_refused(trained, capsys):
    for changed, told in (
        (["--learner", "matching"], "was written with --learner prototypical, not matching"),
        (["--ways", "4"], "was written with --ways 3, not 4"),
    ):
        assert train(trained, "--resume", *changed) == 2
        assert told in capsys.readouterr().err
    assert main(["train", "task", "--out", str(trained.path), "--resume"]) == 2
    assert "was written by `lukasa train few-shot`" in capsys.readouterr().err


def test_recipe_of_sequences_trains_a_run_of_kind_task_and_is_continued_by_either_command(tmp_path, capsys):
    run = Run(tmp_path / "run", "sequences")
    data = "--sampler.source generated --sampler.part background_small1 --sampler.size 6 --sampler.presentations 2"
    core = "--memory.slots 8 --memory.word-size 4 --memory.read-heads 1 --memory.controller-size 8"
    assert train(run, "omniglot_mann_strings", *data.split(), *core.split(), "--steps", "16") == 0
    assert open_run(run.path)[1]["kind"] == "task"
    assert train(run, "--resume", "--steps", "32") == 0
    assert main(["train", "task", "--out", str(run.path), "--resume", "--steps", "48"]) == 0
    assert read_metrics(run)[-1]["sequences"] == 48
    capsys.readouterr()
    assert main(["eval", str(run.path), "--one-shot-runs", "all_runs.zip"]) == 2
    assert "'--one-shot-runs': it is for runs of lukasa train few-shot" in capsys.readouterr().err
    assert main(["plot", str(run.path)]) == 0
    assert {"presentations.png", "reads.png"} < {path.name for path in run.plots.iterdir()}


def test_eval_scores_every_pair_of_ways_and_shots(trained, capsys):
    argv = ["eval", str(trained.path), "--part", "background_small1", "--ways", "3,6", "--shots", "1,2"]
    argv += ["--episodes", "20"]
    assert main([*argv, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert main([*argv, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == result
    rows = result["rows"]
    assert [(row["ways"], row["shots"]) for row in rows] == [(3, 1), (3, 2), (6, 1), (6, 2)]
    assert all(row["interval"][0] < row["accuracy"] < row["interval"][1] for row in rows)
    assert all(row["nearest_pixels"] > 100 / row["ways"] for row in rows)
    assert rows[0]["accuracy"] > rows[2]["accuracy"]
    assert result["data"] == "generated strokes (background_small1, 136 characters)"
    assert main(argv) == 0
    out = capsys.readouterr().out
    assert "generated strokes" in out
    assert f"{rows[3]['accuracy']:.2f}" in out


def test_eval_scores_new_characters_as_trained_unless_told_otherwise(tmp_path, capsys):
    run = Run(tmp_path / "run", "episodes")
    assert train(run, *SMALL.split(), "--test-ways", "4", "--test-shots", "2", "--steps", "4") == 0
    capsys.readouterr()
    assert main(["eval", str(run.path), "--episodes", "3", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["part"] == "evaluation"
    assert [(row["ways"], row["shots"], row["queries"]) for row in result["rows"]] == [(4, 2, 2)]


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["--ways", "5,many"], "option --ways has 'many': expected whole numbers of at least 2, such as 5,20"),
        (["--ways", "1"], "option --ways has '1'"),
        (["--shots", "0"], "option --shots has '0'"),
        (["--episodes", "0"], "option --episodes is 0: expected at least 1"),
        (["--queries", "0"], "option --queries is 0"),
        (["--part", "tests"], "'tests'"),
        (["--part", "background_small1", "--ways", "600"], "ways is 600"),
        (["--split", "test"], "unknown option '--split'"),
        (["--checkpoint", "step-7"], "has no checkpoint 'step-7'"),
        (["--without", "memory"], "learner 'prototypical' carries nothing from example to example"),
        (["--ablation"], "learner 'prototypical' carries nothing from example to example"),
        (["--one-shot-runs", "nowhere.zip"], "nowhere.zip is not there"),
        (["--one-shot-runs", "nowhere.zip", "--ways", "5"], "--one-shot-runs are what they are: leave --ways out"),
    ],
)
def test_eval_refuses_what_it_cannot_do(trained, capsys, argv, told):
    assert main(["eval", str(trained.path), *argv]) == 2
    assert told in capsys.readouterr().err


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """The layout of all_runs.zip with 20 runs of 4 classes; a test drawing is its training drawing, a little torn."""
    contents = {}
    for run in range(1, 21):
        name, lines = f"run{run:02d}", []
        for item in range(1, 5):
            answer = (item + run) % 4 + 1
            test, training = f"{name}/test/item{item:02d}.png", f"{name}/training/class{answer:02d}.png"
            contents[training] = png(bits(100 * run + answer))
            contents[test] = png(bits(100 * run + answer) & ~(bits(run) & bits(7) & bits(8)))
            lines.append(f"{test} {training}")
        contents[f"{name}/class_labels.txt"] = "\n".join(lines).encode()
    path = tmp_path_factory.mktemp("archive") / "all_runs.zip"
    path.write_bytes(zipped(contents))
    return path


def test_one_shot_runs_are_scored_by_the_learner(trained, archive, tmp_path, capsys):
    argv = ["eval", str(trained.path), "--one-shot-runs", str(archive)]
    assert main([*argv, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    rows = result["one_shot_runs"]
    assert [row["run"] for row in rows] == [f"run{number:02d}" for number in range(1, 21)]
    assert result["error"] == pytest.approx(sum(row["error"] for row in rows) / 20)
    assert result["error"] < 50  # chance is 75
    assert result["nearest_pixels"] == 0
    assert main(argv) == 0
    assert f"{result['error']:.2f}" in capsys.readouterr().out
    broken = tmp_path / "broken.zip"
    broken.write_bytes(archive.read_bytes()[:1000])
    assert main(["eval", str(trained.path), "--one-shot-runs", str(broken)]) == 2
    assert f"{broken} is no zip archive" in capsys.readouterr().err


def test_learner_of_another_number_of_classes_does_not_take_one_shot_runs(tmp_path, archive, capsys):
    run = Run(tmp_path / "run", "episodes")
    assert train(run, "--learner", "maml", *SMALL.split(), "--steps", "4") == 0
    capsys.readouterr()
    assert main(["eval", str(run.path), "--one-shot-runs", str(archive)]) == 2
    assert "the episodes have 4 classes and this MAML names 3" in capsys.readouterr().err
    assert main(["eval", str(run.path), "--ways", "5"]) == 2
    assert "the episodes have 5 classes" in capsys.readouterr().err


def test_core_that_reads_episodes_is_ablated(tmp_path, archive, capsys):
    run = Run(tmp_path / "run", "episodes")
    core = "--learner sequence --options.core mann --options.core-options controller_size 8 slots 8 word_size 4"
    assert train(run, *core.split(), *SMALL.split(), "--ways", "4", "--steps", "40", "--lr", "0.01") == 0
    argv = ["eval", str(run.path), "--part", "background_small1", "--episodes", "20"]
    capsys.readouterr()
    losses = {}
    for part in (None, "memory", "controller", "both"):
        assert main([*argv, *(["--without", part] if part else []), "--json"]) == 0
        losses[part] = json.loads(capsys.readouterr().out)["rows"][0]["loss"]
    assert len(set(losses.values())) == 4
    assert main([*argv, "--ablation", "--json"]) == 0
    assert {row["without"]: row["loss"] for row in json.loads(capsys.readouterr().out)["rows"]} == losses
    assert main([*argv, "--ablation"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[-4:]] == list(map(named, losses))
    runs = ["eval", str(run.path), "--one-shot-runs", str(archive), "--json"]
    assert main([*runs, "--ablation"]) == 0
    errors = {row["without"]: row["error"] for row in json.loads(capsys.readouterr().out)["ablation"]}
    for part, error in errors.items():
        assert main([*runs, *(["--without", part] if part else [])]) == 0
        assert json.loads(capsys.readouterr().out)["error"] == error


def test_plot_draws_curve_confusion_and_mistakes(trained, capsys):
    assert main(["plot", str(trained.path), "--part", "background_small1"]) == 0
    names = ["learning", "confusion", "mistakes"]
    assert capsys.readouterr().out.split() == [str(trained.plots / f"{name}.png") for name in names]
    for name in names:
        assert matplotlib.image.imread(trained.plots / f"{name}.png").std() > 0.03, name


def test_plot_shows_a_learner_of_fixed_ways_as_many_classes_as_it_takes(tmp_path, capsys):
    run = Run(tmp_path / "run", "episodes")
    assert train(run, "--learner", "maml", *SMALL.split(), "--steps", "4") == 0
    assert main(["plot", str(run.path), "--part", "background_small1"]) == 0
    assert (run.plots / "confusion.png").exists()


def test_curves_of_two_learners_share_a_picture_and_other_episodes_are_refused(trained, tmp_path, capsys):
    run = Run(tmp_path / "run", "episodes")
    assert train(run, "--learner", "matching", *SMALL.split(), "--steps", "12") == 0
    capsys.readouterr()
    assert main(["plot", str(trained.path), str(run.path)]) == 0
    assert capsys.readouterr().out.split() == [str(trained.plots / "comparison.png")]
    other = Run(tmp_path / "other", "episodes")
    assert train(other, *SMALL.split(), "--ways", "4", "--steps", "12") == 0
    capsys.readouterr()
    assert main(["plot", str(trained.path), str(other.path)]) == 2
    assert "these runs are of 2 kinds of episodes (Omniglot, 3 ways" in capsys.readouterr().err


def named_episode() -> Named:
    """Three classes, two queries of each; the second class's first query and both of the third's named as the first."""
    pictures = np.random.default_rng(0).random((9, 5, 5))
    return Named(pictures[:3, None], pictures[3:], np.array([0, 0, 1, 1, 2, 2]), np.array([0, 0, 0, 1, 0, 0]))


def test_confusion_counts_right_classes_in_rows_and_answers_in_columns(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr("lukasa.launch.kinds.few_shot.drawings.save_figure", lambda figure, _: figures.append(figure))
    draw_confusion(named_episode(), tmp_path / "confusion.png", title="t")
    counts = figures[0].axes[0].get_images()[0].get_array()
    assert counts.tolist() == [[2, 0, 0], [1, 1, 0], [2, 0, 0]]


def test_sheet_shows_what_was_named_wrongly_beside_its_class(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr("lukasa.launch.kinds.few_shot.drawings.save_figure", lambda figure, _: figures.append(figure))
    named = named_episode()
    draw_wrong(named, tmp_path / "mistakes.png", title="t")
    images = figures[0].axes[0].get_images()
    assert len(images) == 3 + 3
    for image, query in zip(images[3:], (2, 4, 5), strict=True):
        np.testing.assert_array_equal(image.get_array(), 1 - named.queries[query])
    assert [text.get_text() for text in figures[0].axes[0].texts] == ["1", "2", "3", "as 1", "as 1", "as 1"]
