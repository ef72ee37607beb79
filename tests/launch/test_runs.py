import dataclasses
import json
import threading
from pathlib import Path

import pytest

from lukasa import memory
from lukasa.ground.mistakes import UserError
from lukasa.launch.cli import main
from lukasa.launch.kinds.rl.experiment import RLExperiment
from lukasa.launch.kinds.rl.grid_recipes import GRID_RECIPES
from lukasa.launch.kinds.rl.options import RL
from lukasa.launch.kinds.rl.replay_recipes import REPLAY_RECIPES
from lukasa.launch.kinds.rl.tape_recipes import TAPE_RECIPES
from lukasa.launch.kinds.supervised.recipes import TASK
from lukasa.launch.kinds.table import kind_of
from lukasa.launch.runs.directory import Run, create_run, describe_run, locked, open_run, read_metrics
from lukasa.launch.runs.metrics import MetricsWriter, rewind_metrics
from lukasa.launch.training.beginning import check_unchanged
from lukasa.launch.training.requests import read_request

EXPERIMENT = dataclasses.asdict(RL.make("repeat_previous_ntm"))


@pytest.fixture
def run(tmp_path):
    return create_run(tmp_path / "run", describe_run("rl", "repeat_previous_ntm", EXPERIMENT))


def test_config_survives_the_round_trip(run):
    _, config = open_run(run.path)
    assert RL.from_json(config["experiment"]) == RL.make("repeat_previous_ntm")
    assert config["experiment"]["seed"] == 0
    assert {"python", "lukasa", "torch", "ray", "gymnasium", "numpy"} == set(config["versions"])


def test_existing_run_is_refused_and_untouched(run, capsys):
    before = run.config_file.read_text()
    assert main(["train", "rl", "--env", "RepeatPrevious-k1-v0", "--core", "gru", "--out", str(run.path)]) == 2
    assert "exists: add --resume to continue it" in capsys.readouterr().err
    assert run.config_file.read_text() == before


def test_foreign_folder_is_refused(tmp_path):
    (tmp_path / "letters").write_text("dear")
    with pytest.raises(UserError, match="is not empty and holds no run"):
        create_run(tmp_path, describe_run("rl", None, EXPERIMENT))
    with pytest.raises(UserError, match="is a file"):
        create_run(tmp_path / "letters", describe_run("rl", None, EXPERIMENT))


def refuse(run, capsys, *argv):
    assert main(["train", "rl", "--out", str(run.path), "--resume", *argv]) == 2
    return capsys.readouterr().err


def test_broken_config_is_told_with_its_line(run, capsys):
    run.config_file.write_text('{\n "format": 1,\n oops\n}')
    assert "config.json is corrupt: line 3" in refuse(run, capsys)
    assert main(["eval", str(run.path)]) == 2
    assert "config.json is corrupt: line 3" in capsys.readouterr().err


def test_missing_config_is_told(run, capsys):
    run.config_file.unlink()
    assert "is not a run: it has no config.json" in refuse(run, capsys)


@pytest.mark.parametrize("content", ["[]", "{}", '{"experiment": 3}'])
def test_config_without_experiment_is_corrupt(run, capsys, content):
    run.config_file.write_text(content)
    assert "has no experiment" in refuse(run, capsys)


def test_run_of_another_format_names_both(run, capsys):
    config = json.loads(run.config_file.read_text())
    run.config_file.write_text(json.dumps(config | {"format": 9}))
    assert "has format 9, this version of lukasa reads 1" in refuse(run, capsys)


def test_run_of_another_learner_is_refused(run, capsys):
    config = json.loads(run.config_file.read_text())
    run.config_file.write_text(json.dumps(config | {"kind": "task"}))
    assert "was written by `lukasa train task`" in refuse(run, capsys)


def test_unknown_field_of_a_config_is_told(run, capsys):
    config = json.loads(run.config_file.read_text())
    config["experiment"]["stepz"] = 3
    run.config_file.write_text(json.dumps(config))
    assert "unknown field 'stepz': did you mean 'steps'?" in refuse(run, capsys)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"steps": "many"}, "field 'steps' is 'many': expected a whole number"),
        ({"steps": True}, "field 'steps' is True: expected a whole number"),
        ({"seed": 10**30}, "expected a whole number"),
        ({"lr": None}, "field 'lr' is None: expected a finite number"),
        ({"lr": float("nan")}, "field 'lr' is nan: expected a finite number"),
        ({"stop_at": "high"}, "expected a finite number or null"),
        ({"algorithm": "a2c"}, "unknown algorithm 'a2c': known are ppo, appo, impala"),
        ({"env_settings": [1]}, "field 'env_settings' is [1]: expected a JSON object"),
        ({"normalize_returns": 1}, "expected true or false"),
        ({"threads": 0}, "--threads is 0: expected at least 1"),
        ({"memory": {"slotz": 3}}, "unknown option 'slotz' in 'memory' of core 'ntm': did you mean 'slots'?"),
    ],
)
def test_config_that_was_edited_is_refused_with_what_was_expected(run, capsys, changed, sentence):
    config = json.loads(run.config_file.read_text())
    run.config_file.write_text(json.dumps(config | {"experiment": config["experiment"] | changed}))
    assert sentence in refuse(run, capsys)


def test_run_from_before_an_option_of_its_core_was_added_goes_on():
    config = {"experiment": {"task": "copy", "core": "gru", "memory": {}, "sampler": {"bits": 3}}}
    now = TASK.from_json({**config["experiment"], "memory": {"size": memory.core_options("gru")["size"].default}})
    opened = (Run(Path("run")), config)
    check_unchanged(kind_of("task"), opened, now)
    with pytest.raises(UserError, match="was written with --memory"):
        check_unchanged(kind_of("task"), opened, dataclasses.replace(now, memory={"size": 3}))


@pytest.mark.parametrize("words", [["--resume=true"], ["--resume", "true"], ["--resume=false", "--resume"]])
def test_resume_is_seen_however_it_is_spelt(run, words):
    request = read_request(RL, ["--out", str(run.path), *words])
    assert (request.resume, request.recipe) == (True, "repeat_previous_ntm")


def test_no_run_to_resume_is_told(tmp_path, capsys):
    assert main(["train", "rl", "--out", str(tmp_path / "none"), "--resume"]) == 2
    assert "there is no run at" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--core", "dnc"], "was written with --core ntm, not dnc"),
        (["--env", "TMaze-L10-v0"], "was written with --env popgym-RepeatPreviousEasy-v0, not TMaze-L10-v0"),
        (["--memory.slots", "9"], "was written with --memory"),
        (["repeat_previous_gru"], "was written with --core ntm, not gru"),
    ],
)
def test_resuming_as_something_else_is_refused(run, capsys, argv, sentence):
    config = json.loads(run.config_file.read_text())
    assert main(["train", "rl", *argv, "--out", str(run.path), "--resume"]) == 2
    assert sentence in capsys.readouterr().err
    assert json.loads(run.config_file.read_text()) == config


def test_second_process_is_kept_out(run):
    with locked(run), pytest.raises(UserError, match="is in use by process"), locked(run):
        pass
    with locked(run):
        pass


def test_run_is_let_go_of_by_another_thread_than_took_it(run):
    held = locked(run)
    held.__enter__()
    thread = threading.Thread(target=held.__exit__, args=(None, None, None))
    thread.start()
    thread.join()
    with locked(run):
        pass


def rows(*steps):
    return [{"env_steps": step, "return_mean": step / 10} for step in steps]


def write(run, *steps):
    writer = MetricsWriter(run)
    for row in rows(*steps):
        writer.write(row)
    writer.close()


def test_metrics_are_one_object_a_line_and_also_events(run):
    write(run, 1, 2)
    assert [json.loads(line) for line in run.metrics_file.read_text().splitlines()] == rows(1, 2)
    assert any(run.events.iterdir())


def test_numbers_that_are_not_finite_become_null(run):
    writer = MetricsWriter(run)
    writer.write({"env_steps": 1, "loss": float("nan"), "kl": float("inf")})
    writer.close()
    assert read_metrics(run) == [{"env_steps": 1, "loss": None, "kl": None}]


def test_line_cut_short_by_a_kill_is_left_out(run):
    write(run, 1, 2)
    with open(run.metrics_file, "a") as file:
        file.write('{"env_steps": 3, "retu')
    assert read_metrics(run) == rows(1, 2)


def test_broken_line_is_told_with_its_number(run):
    run.metrics_file.write_text('{"env_steps": 1}\nnonsense\n{"env_steps": 3}\n')
    with pytest.raises(UserError, match="line 2 is not a JSON object"):
        read_metrics(run)


def test_metrics_after_the_checkpoint_move_aside(run):
    write(run, 1, 2, 3)
    assert rewind_metrics(run, 2) == rows(1, 2)
    assert read_metrics(run) == rows(1, 2)
    assert json.loads((run.path / "metrics.replaced.jsonl").read_text()) == rows(3)[0]


def test_default_experiment_is_valid_json():
    assert RL.from_json(json.loads(json.dumps(dataclasses.asdict(RLExperiment())))) == RLExperiment()


def test_reinforcement_learning_from_before_a_field_was_renamed_keeps_what_it_was_asked():
    old = {name: value for name, value in EXPERIMENT.items() if name not in {"clip_norm", "schedule", "final_lr"}}
    found = RL.from_json(old | {"lr": 0.01, "lr_end": 0.001, "grad_clip": 3.0})
    assert (found.schedule, found.final_lr, found.clip_norm) == ("linear", pytest.approx(0.1), 3.0)
    constant = RL.from_json(old | {"lr_end": None, "grad_clip": None})
    assert (constant.schedule, constant.clip_norm) == ("constant", None)


def test_run_from_before_a_field_was_added_stays_as_it_was():
    # Its agent has no scales; whatever new runs do by default, it is read, resumed and evaluated without.
    added = {
        "normalize_observations",
        "normalize_returns",
        "orthogonal",
        "kl_target",
        "schedule",
        "final_lr",
        "entropy_end",
    }
    old = {name: value for name, value in EXPERIMENT.items() if name not in added}
    found = RL.from_json(old | {"gamma": 0.9, "batch_size": 2048})
    assert (found.normalize_observations, found.normalize_returns, found.orthogonal) == (False, False, False)
    assert (found.schedule, found.entropy_end, found.gamma, found.batch_size) == ("constant", None, 0.9, 2048)
    assert RLExperiment().normalize_observations
    assert RLExperiment().normalize_returns
    assert found.kl_target == 0.01
    assert RLExperiment().orthogonal


@pytest.mark.parametrize(
    "name",
    [name for name, recipe in RL.recipes.items() if recipe not in (*GRID_RECIPES, *REPLAY_RECIPES, *TAPE_RECIPES)],
)
def test_recipes_are_on_the_numbers_they_were_tuned_with(name):
    recipe = RL.make(name)
    assert not recipe.normalize_observations
    assert not recipe.normalize_returns
    assert not recipe.orthogonal
    assert recipe.kl_target == 0.01
    assert recipe.batch_size != RLExperiment().batch_size
    assert (recipe.epochs, recipe.clip, recipe.schedule, recipe.entropy_end) in [
        (6, 0.3, "constant", None),
        (8, 0.3, "constant", None),
        (8, 0.2, "constant", None),
        (6, 0.3, "constant", None),
    ]
