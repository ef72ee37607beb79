"""Experiments of several seeds: that they are the single runs, go on where they were stopped, and lose nothing."""

import doctest
import json
import signal
import subprocess
import sys
import time

import pytest

from lukasa.ground.mistakes import UserError
from lukasa.launch.cli import main
from lukasa.launch.comparing import several_seeds
from lukasa.launch.comparing.several_seeds import open_group, open_several, read_seeds
from lukasa.launch.runs.checkpoints import list_checkpoints
from lukasa.launch.runs.directory import Run, locked, read_metrics
from tests.launch.refusals import fails

WORDS = "--task copy --sampler.max-length 2 --core gru --memory.size 4 --batch-size 8 --report-every 32 --steps 128"
OPTIONS = WORDS.split()


def losses(run):
    """What was measured, but for times and bytes."""
    return [(row["sequences"], row["loss"], row["score"]) for row in read_metrics(run)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two seeds of a tiny task."""
    out = tmp_path_factory.mktemp("seeds") / "x"
    assert main(["train", "task", *OPTIONS, "--seed", "3", "--seeds", "2", "--out", str(out)]) == 0
    return open_several(out)


def test_examples():
    assert doctest.testmod(several_seeds).failed == 0


def test_every_seed_has_the_losses_of_the_single_run(trained, tmp_path):
    assert list(trained.folders) == [3, 4]
    for seed in (3, 4):
        single = tmp_path / str(seed)
        assert main(["train", "task", *OPTIONS, "--seed", str(seed), "--out", str(single)]) == 0
        assert losses(trained.run(seed)) == losses(Run(single, "sequences"))
    assert losses(trained.run(3)) != losses(trained.run(4))


def test_evaluation_is_the_mean_of_the_seeds_with_its_interval(trained, capsys):
    assert main(["eval", str(trained.path), "--sequences", "10", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["score"] for one in found["runs"]] == found["means"][0]["seeds"]
    assert found["means"][0]["mean"] == pytest.approx(sum(found["means"][0]["seeds"]) / 2)
    assert found["means"][0]["interval"] == sorted(found["means"][0]["seeds"])
    assert main(["eval", str(trained.path), "--sequences", "10"]) == 0
    assert "bootstrap over 2 seeds; so few seeds say little" in capsys.readouterr().out
    assert "unknown option '--episodes'" in fails(capsys, "eval", str(trained.path), "--episodes", "3")


def test_plot_draws_the_mean_and_the_best_seed(trained, capsys):
    assert main(["plot", str(trained.path)]) == 0
    captured = capsys.readouterr()
    paths = captured.out.split()
    assert paths[0] == str(trained.path / "plots" / "learning.png")
    best = min((3, 4), key=lambda seed: losses(trained.run(seed))[-1][2])
    assert f"the other pictures are of seed {best}, the best of 2" in captured.err
    assert {path.rpartition("/plots/")[0] for path in paths[1:]} == {str(trained.run(best).path)}


def test_seeds_can_be_added_and_those_that_are_finished_are_left_alone(trained, capfd):
    before = [trained.run(seed).metrics_file.stat().st_mtime_ns for seed in (3, 4)]
    assert main(["train", "task", "--out", str(trained.path), "--resume", "--seeds", "3"]) == 0
    captured = capfd.readouterr()
    assert "3 seeds (3 to 5), 2 seeds (3, 4) finished already" in captured.err
    assert "seed 5: 128/128 sequences" in captured.err
    assert "over 3 seeds, 95 % confidence" in captured.out
    assert [trained.run(seed).metrics_file.stat().st_mtime_ns for seed in (3, 4)] == before
    assert len(open_group(trained.path)) == 3


@pytest.mark.slow
def test_seed_that_fails_does_not_lose_the_others(trained, capfd):
    words = ["train", "task", "--out", str(trained.path), "--resume", "--steps", "192"]
    with locked(trained.run(4)):
        assert main(words) == 1
    error = capfd.readouterr().err
    assert f"seeds failed (seed 4: run {trained.run(4).path} is in use by process" in error
    assert f"train task --out {trained.path} --resume" in error
    assert [losses(trained.run(seed))[-1][0] for seed in (3, 4)] == [192, 128]
    assert main(words) == 0
    assert losses(trained.run(4))[-1][0] == 192


def begin(out, *words):
    """Begin to train in a process of its own, and wait until every seed has measured something."""
    command = [sys.executable, "-m", "lukasa.launch", "train", "task", "--out", str(out), *words]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 120
    seeds = ()
    while not seeds or not all(len(read_metrics(run)) > len(run.path.name) for run in seeds):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.2)
        seeds = [Run(folder, "sequences") for folder in out.glob("seed-*")] if (out / "seeds.json").exists() else ()
    return process


@pytest.mark.slow
def test_killed_or_stopped_experiment_saves_every_seed_and_says_how_to_go_on(tmp_path):
    out = tmp_path / "x"
    killed = begin(out, *OPTIONS, "--steps", "8000000", "--seeds", "2", "--concurrent", "2")
    killed.kill()  # its seeds notice, and save
    killed.wait()
    several = open_several(out)
    until = time.monotonic() + 60
    while not all(list_checkpoints(several.run(seed).checkpoints) for seed in (0, 1)):
        assert time.monotonic() < until
        time.sleep(0.2)
    time.sleep(2)
    reached = [list_checkpoints(several.run(seed).checkpoints)[-1].step for seed in (0, 1)]
    lines = [len(read_metrics(several.run(seed))) for seed in (0, 1)]
    stopped = begin(out, "--resume", "--concurrent", "2")
    until = time.monotonic() + 60
    while any(len(read_metrics(several.run(seed))) <= before for seed, before in zip((0, 1), lines, strict=True)):
        assert time.monotonic() < until
        time.sleep(0.2)
    stopped.send_signal(signal.SIGINT)
    error = stopped.communicate(timeout=60)[1]
    assert stopped.returncode == 130
    assert error.count("stopped at") == 2
    assert error.count("continue") == 1
    assert f"train task --out {out} --resume" in error
    further = [list_checkpoints(several.run(seed).checkpoints)[-1].step for seed in (0, 1)]
    assert all(now >= then for then, now in zip(reached, further, strict=True))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--seeds 0", "option --seeds is 0: expected at least 1"),
        ("--seeds many", "option --seeds is 'many': expected how many, such as 5, or a list, such as 0,3,7"),
        ("--seeds 1,1", "option --seeds is 1,1: expected every seed once"),
        ("--concurrent 2", "--concurrent says how many seeds train at a time: it needs --seeds"),
        ("--seeds 2 --concurrent 0", "option --concurrent is 0: expected at least 1"),
        ("--seeds 2 --sync file:///nowhere", "--sync is for a run of one seed"),
        ("--seeds 2 --lr -1", "option --lr is -1.0: expected more than 0"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_written(tmp_path, monkeypatch, capsys, words, told):
    monkeypatch.chdir(tmp_path)
    assert told in fails(capsys, "train", "task", *OPTIONS, *words.split())
    assert not list(tmp_path.iterdir())


def test_what_does_not_fit_the_experiment_is_refused(trained, tmp_path, capsys):
    out, one = str(trained.path), str(trained.run(3).path)
    refused = {
        "exists: add --resume to continue it": [*OPTIONS, "--seeds", "2", "--out", out],
        "with --lr 0.001, not 0.1": ["--out", out, "--resume", "--lr", "0.1"],
        "is of one seed: leave --seeds out": ["--out", one, "--resume", "--seeds", "2"],
    }
    for told, words in refused.items():
        assert told in fails(capsys, "train", "task", *words)
    assert "continue it with that command" in fails(capsys, "train", "rl", "--out", out, "--resume")
    (tmp_path / "seeds.json").write_text(json.dumps({"format": 1, "kind": "task"}))
    with pytest.raises(UserError, match=r"seeds\.json is corrupt"):
        open_several(tmp_path)
    with locked(Run(trained.path)):
        assert "is in use by process" in fails(capsys, "train", "task", "--out", out, "--resume")


def test_list_of_seeds_may_be_any():
    assert read_seeds(" 7, 2", first=9) == [7, 2]


@pytest.mark.ray
@pytest.mark.slow
def test_seeds_train_side_by_side_on_ray(ray_cluster, tmp_path, trained, capfd):
    out = tmp_path / "x"
    words = ["--seed", "3", "--seeds", "2", "--ray", "--workers", "1", "--out", str(out)]
    assert main(["train", "task", *OPTIONS, *words]) == 0
    assert "2 seeds (3, 4), 2 at a time" in capfd.readouterr().err
    for seed in (3, 4):
        assert losses(open_several(out).run(seed))[:4] == losses(trained.run(seed))[:4]


@pytest.mark.ray
@pytest.mark.slow
def test_seeds_of_agents_are_those_of_single_runs(tmp_path):
    words = ["--env", "TMaze-L50-v0", "--env-settings", "corridor", "3", "--core", "gru", "--steps", "256"]
    words += ["--batch-size", "128", "--minibatch-size", "64", "--envs-per-runner", "2", "--epochs", "1"]
    words += ["--max-seq-len", "32"]
    several, single = tmp_path / "several", tmp_path / "single"
    assert main(["train", "rl", *words, "--seeds", "2", "--out", str(several)]) == 0
    assert main(["train", "rl", *words, "--seed", "1", "--out", str(single)]) == 0

    def measured(run):
        return [(row["env_steps"], row["return_mean"], row["loss"], row["value_loss"]) for row in read_metrics(run)]

    assert measured(open_several(several).run(1)) == measured(Run(single))
