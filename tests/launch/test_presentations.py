"""Few-shot episodes through the command line, and accuracy by presentation beside the paper's."""

import json

import matplotlib.image
import pytest
import torch

from lukasa.agents.sequence import evaluate
from lukasa.ground.statistics import wilson_interval
from lukasa.launch.cli import main
from lukasa.launch.kinds.supervised.experiment import TaskExperiment
from lukasa.launch.kinds.supervised.presentation_pictures import draw_presentations
from lukasa.launch.kinds.supervised.presentations import ByPresentation, observer, presentations_table, published
from lukasa.launch.kinds.supervised.recipes import TASK_RECIPES
from lukasa.launch.kinds.supervised.settings import make_sampler
from lukasa.memory import make_core
from lukasa.tasks import Batch
from lukasa.tasks.omniglot import OmniglotPresentations

SMALL = "--sampler.source generated --sampler.part background_small1 --sampler.size 6 --sampler.presentations 3"
CORE = "--memory.slots 8 --memory.word-size 4 --memory.read-heads 1 --memory.controller-size 8"


def two_episodes() -> tuple[OmniglotPresentations, torch.Tensor, Batch]:
    """Two classes twice: right at 1 of 2 first and 2 of 2 second presentations, then at none and 1 of 2."""
    sampler = OmniglotPresentations(classes=2, presentations=2)
    targets = torch.tensor([[1, 0, 1, 0], [0, 0, 1, 1]]).unsqueeze(-1)
    answers = torch.tensor([[0, 0, 1, 0], [1, 0, 0, 0]])
    batch = Batch(torch.zeros(2, 4, 4), targets, torch.ones(2, 4, dtype=torch.bool), torch.tensor([4, 4]))
    return sampler, torch.nn.functional.one_hot(answers, 2).float(), batch


def test_accuracy_by_presentation_has_the_interval_over_episodes():
    sampler, outputs, batch = two_episodes()
    gathered = ByPresentation(sampler.spec)
    gathered(outputs, batch)
    first, second = gathered.rows()
    # Over the episodes 50 and 0: the mean is 25, the variance 25² as that of 3 trials in each.
    assert (first["presentation"], first["accuracy"]) == (1, 25.0)
    assert first["interval"] == pytest.approx([100 * end for end in wilson_interval(0.25, 6)])
    assert (second["presentation"], second["accuracy"]) == (2, 75.0)


def test_batches_of_any_size_give_the_same_rows():
    sampler, outputs, batch = two_episodes()
    together, apart = ByPresentation(sampler.spec), ByPresentation(sampler.spec)
    together(outputs, batch)
    for row in range(2):
        apart(outputs[row : row + 1], Batch(*(tensor[row : row + 1] for tensor in batch)))
    assert apart.rows() == together.rows()


def test_one_episode_has_the_interval_of_one_trial():
    sampler, outputs, batch = two_episodes()
    gathered = ByPresentation(sampler.spec)
    gathered(outputs[:1], Batch(*(tensor[:1] for tensor in batch)))
    assert gathered.rows()[0]["interval"] == pytest.approx([100 * end for end in wilson_interval(0.5, 1)])


def test_evaluation_shows_each_batch_with_its_outputs_and_is_not_changed_by_it():
    sampler = make_sampler("copy", "test", {"max_length": 3})
    core = make_core("lstm", input_size=sampler.spec.input_size, output_size=sampler.spec.output_size, size=4)
    batches = [sampler.sample(size, torch.Generator().manual_seed(size)) for size in (2, 3)]
    shown: list[tuple[tuple[int, ...], Batch]] = []
    found = evaluate(core, sampler.spec, batches, observe=lambda outputs, batch: shown.append((outputs.shape, batch)))
    assert found == evaluate(core, sampler.spec, batches)
    assert [shape for shape, _ in shown] == [(*batch.mask.shape, sampler.spec.output_size) for batch in batches]


def test_only_tasks_with_presentations_are_observed():
    assert observer(make_sampler("omniglot", "test", {})) is not None
    assert observer(make_sampler("copy", "test", {})) is None


def test_paper_is_quoted_for_its_own_settings_alone():
    def mann(**settings):
        return published("omniglot", OmniglotPresentations(**settings)).get("paper's MANN", {})

    assert [mann()[number] for number in (1, 2, 5, 10)] == [36.4, 82.8, 94.9, 98.1]
    assert mann(classes=15, labels="string")[2] == 62.6
    assert mann(classes=6) == {}
    assert published("copy", OmniglotPresentations()) == {}


def test_who_never_forgets_draws_the_right_one_of_the_unused_labels_as_often_as_documented():
    spec = OmniglotPresentations().spec
    first = 10 * spec.best - 9 * 100  # all others are right
    assert first == pytest.approx(45.7, abs=0.05)


def test_table_leaves_out_what_the_paper_does_not_report():
    rows = [{"presentation": number, "accuracy": 50.0, "interval": (40.0, 60.0)} for number in (5, 6)]
    table = presentations_table(
        "", {"presentations": rows, "published": published("omniglot", OmniglotPresentations())}
    )
    assert [list(column.cells) for column in table.columns][:4] == [
        ["5", "6"],
        ["50.0", "50.0"],
        ["40.0 to 60.0", "40.0 to 60.0"],
        ["94.9", "-"],
    ]


@pytest.mark.parametrize("core", ["mann", "lstm", "dnc", "sam"])
def test_omniglot_recipes_train_on_the_papers_part_pixels_and_batch(core):
    experiment: TaskExperiment = TASK_RECIPES[f"omniglot_{core}"]()
    assert (experiment.core, experiment.task, experiment.batch_size) == (core, "omniglot", 16)
    sampler = make_sampler("omniglot", "train", dict(experiment.sampler))
    assert isinstance(sampler, OmniglotPresentations)
    assert (sampler.part, sampler.size, sampler.classes, sampler.labels) == ("train", 20, 5, "one-hot")
    assert sampler.spec.input_size == 20 * 20 + 5


def test_few_shot_run_is_trained_and_scored_by_presentation(tmp_path, capsys):
    run = str(tmp_path / "run")
    assert main(["train", "task", "omniglot_mann", "--out", run, *SMALL.split(), *CORE.split(), "--steps", "32"]) == 0
    capsys.readouterr()
    argv = ["eval", run, "--sequences", "60"]
    assert main([*argv, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    rows = result["presentations"]
    assert [row["presentation"] for row in rows] == [1, 2, 3]
    assert sum(row["accuracy"] for row in rows) / 3 == pytest.approx(result["score"])
    assert result["data"] == "generated strokes (test, 423 characters)"
    assert main(argv) == 0
    out = capsys.readouterr().out
    assert "paper's MANN" in out
    assert "82.8" in out
    assert "generated strokes" in out


def test_plot_draws_accuracy_by_presentation_and_reads_beside_pictures(tmp_path, capsys):
    run = tmp_path / "run"
    small = [*SMALL.split(), *CORE.split(), "--steps", "32"]
    assert main(["train", "task", "--task", "omniglot", "--core", "mann", "--out", str(run), *small]) == 0
    capsys.readouterr()
    assert main(["plot", str(run)]) == 0  # with answers at the lengths, in classes, that the core is as wide as
    drawn = capsys.readouterr().out.split()
    for name in ("answers", "presentations", "reads"):
        path = str(run / "plots" / f"{name}.png")
        assert path in drawn
        assert matplotlib.image.imread(path).std() > 0.03, name
    assert main(["plot", str(run), "--length", "4"]) == 2
    assert "the core was trained with (41, 5): take settings that keep its widths" in capsys.readouterr().err


def test_curve_has_the_interval_and_the_papers_numbers_at_their_presentations(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(
        "lukasa.launch.kinds.supervised.presentation_pictures.save_figure", lambda figure, _: figures.append(figure)
    )
    rows = [{"presentation": number, "accuracy": 50.0 + number, "interval": (40.0, 60.0)} for number in (1, 2)]
    draw_presentations(rows, {"paper": {1: 30.0, 10: 90.0}}, tmp_path / "curve.png", title="t")
    own, paper = figures[0].axes[0].get_lines()
    assert (list(own.get_xdata()), list(own.get_ydata())) == ([1, 2], [51.0, 52.0])
    assert (list(paper.get_xdata()), list(paper.get_ydata())) == ([1, 10], [30.0, 90.0])
