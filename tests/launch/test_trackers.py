"""Weights & Biases and MLflow beside a run: offline, resumed, failing."""

import importlib.util
import json

import pytest

from lukasa.ground.mistakes import UserError
from lukasa.launch.cli import main
from lukasa.launch.runs import trackers
from lukasa.launch.runs.directory import create_run, describe_run, open_run, read_metrics
from lukasa.launch.runs.metrics import MetricsWriter, finite_numbers
from lukasa.launch.runs.trackers import Careful, read_trackers, start_trackers, track
from tests.launch.refusals import fails

TASK = "train task --task copy --sampler.bits 2 --core gru --memory.size 4 --batch-size 4 --report-every 4 --steps 8"


class Recorder:
    """A tracker that keeps what it is told."""

    def __init__(self, run, config, known):
        self.id, self.told, self.closed, self.config = known or "first", [], False, config
        RECORDED.append(self)

    def log(self, step, numbers):
        self.told.append((step, dict(numbers)))

    def close(self):
        self.closed = True


class Broken(Recorder):
    def log(self, step, numbers):
        raise OSError(28, "No space left on device")


RECORDED = []


@pytest.fixture
def recorders(monkeypatch):
    RECORDED.clear()
    monkeypatch.setattr(trackers, "STARTS", {"wandb": Recorder, "mlflow": Broken})
    monkeypatch.setattr(trackers, "PACKAGES", {"wandb": "json", "mlflow": "json"})
    return RECORDED


def test_a_resumed_run_goes_on_in_the_same_tracked_one(recorders, tmp_path):
    run = tmp_path / "run"
    assert main([*TASK.split(), "--track", "wandb", "--out", str(run)]) == 0
    recorders[0].id = "another"  # what the file says counts
    assert main(["train", "task", "--out", str(run), "--resume", "--steps", "12"]) == 0
    assert [one.id for one in recorders] == ["another", "first"]
    assert json.loads((run / trackers.FILE).read_text()) == {"wandb": "first"}
    assert [step for one in recorders for step, _ in one.told] == [4, 8, 12]
    assert all(one.closed for one in recorders)
    assert [row["loss"] for row in read_metrics(open_run(run)[0])] == [
        numbers["loss"] for one in recorders for _, numbers in one.told
    ]


def test_every_seed_is_tracked(recorders, tmp_path, monkeypatch):
    run = tmp_path / "run"
    monkeypatch.setattr("lukasa.launch.training.seeds._Processes.run", lambda *_: None)
    main([*TASK.split(), "--track", "wandb", "--seeds", "2", "--out", str(run)])
    for seed in (0, 1):
        assert json.loads((run / f"seed-{seed}" / trackers.FILE).read_text()) == {"wandb": None}


def test_a_tracker_that_fails_warns_once_and_the_run_goes_on(recorders, tmp_path, capsys):
    run = tmp_path / "run"
    assert main([*TASK.split(), "--track", "mlflow,wandb", "--out", str(run)]) == 0
    told = capsys.readouterr().err
    assert told.count("warning: mlflow takes no more metrics") == 1
    assert "No space left on device" in told
    assert len(read_metrics(open_run(run)[0])) == 2
    assert [step for one in recorders if type(one) is Recorder for step, _ in one.told] == [4, 8]


def test_a_tracker_that_cannot_start_warns_once(capsys):
    def make():
        raise ConnectionError("the server https://me:secret@example.org is away")

    careful = Careful("wandb", make)
    careful.log(1, {"loss": 1.0})
    careful.close()
    told = capsys.readouterr().err
    assert told.count("warning: wandb takes no more metrics (the server https://example.org is away)") == 1


def test_trackers_see_what_was_asked_and_no_login(recorders, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "not-to-be-seen")
    run = tmp_path / "run"
    assert main([*TASK.split(), "--track", "wandb", "--out", str(run)]) == 0
    assert recorders[0].config["experiment"]["task"] == "copy"
    written = [path for path in run.rglob("*") if path.is_file()]
    assert not [path for path in written if b"not-to-be-seen" in path.read_bytes()]


@pytest.mark.parametrize(
    ("text", "sentence"), [("wandd", "did you mean 'wandb'?"), ("tensorboard,", "option --track has ''")]
)
def test_unknown_tracker_is_refused(text, sentence, capsys, tmp_path):
    assert sentence in fails(capsys, *TASK.split(), "--track", text, "--out", str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr(trackers, "PACKAGES", {"wandb": "no_such_package"})
    with pytest.raises(UserError, match=r"which is not installed: pip install 'lukasa\[wandb\]'"):
        read_trackers("wandb")


def test_tensorboard_is_always_there():
    assert read_trackers("tensorboard") == read_trackers(None) == []


def test_a_broken_tracking_file_tracks_nothing(tmp_path):
    for text in ("{", "[]", '{"unknown": "x", "wandb": 3}'):
        (tmp_path / trackers.FILE).write_text(text)
        assert start_trackers(tmp_path) == []


def test_numbers_that_are_not_finite_are_left_out():
    row = {"steps": 1, "a": 1.5, "b": float("inf"), "c": None, "d": [1], "e": "x"}
    assert finite_numbers(row, "steps") == {"a": 1.5}


def needs(package):
    missing = importlib.util.find_spec(package) is None
    return pytest.mark.skipif(missing, reason=f"needs the package {package}: pip install 'lukasa[{package}]'")


def tracked(tmp_path, name):
    """A run of two sittings with two lines of metrics, in what one tracker keeps of it."""
    run = create_run(tmp_path / "run", describe_run("task", None, {"task": "copy", "memory": {"size": 4}}, "sequences"))
    track(run.path, [name])
    for sitting in (1, 2):
        writer = MetricsWriter(run, 8 * (sitting - 1))
        writer.write({"sequences": 8 * sitting, "loss": 1.0 / sitting, "grad_norm/core": 2.0, "score": None})
        writer.close()
    return json.loads((run.path / trackers.FILE).read_text())[name]


@needs("mlflow")
@pytest.mark.slow
def test_mlflow_keeps_one_run_of_both_sittings(tmp_path, monkeypatch, capsys):
    from mlflow import MlflowClient

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    name = tracked(tmp_path, "mlflow")
    assert "warning" not in capsys.readouterr().err
    client = MlflowClient((tmp_path / "mlruns").as_uri())
    [filed] = [one for one in client.search_experiments() if one.name == trackers.PROJECT]
    [found] = client.search_runs([filed.experiment_id])
    assert (found.info.run_id, found.info.status) == (name, "FINISHED")
    assert [(one.step, one.value) for one in client.get_metric_history(name, "loss")] == [(8, 1.0), (16, 0.5)]
    assert found.data.params["experiment.memory.size"] == "4"


@needs("wandb")
@pytest.mark.slow
def test_wandb_keeps_one_run_of_both_sittings_offline(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "nobody"))
    name = tracked(tmp_path, "wandb")
    told = capsys.readouterr().err
    assert "`wandb sync` sends it" in told
    assert "warning" not in told
    kept = sorted((tmp_path / "run" / "wandb").glob("offline-run-*"))
    assert kept
    assert all(one.name.endswith(name) for one in kept)
    assert sum(path.stat().st_size for path in (tmp_path / "run" / "wandb").rglob("*.wandb")) > 100


@needs("wandb")
@pytest.mark.slow
def test_wandb_whose_server_does_not_answer_loses_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(trackers, "START_SECONDS", 3)
    run = create_run(tmp_path / "run", describe_run("task", None, {"task": "copy"}, "sequences"))
    track(run.path, ["wandb"])
    writer = MetricsWriter(run)
    writer.write({"sequences": 8, "loss": 1.0})
    writer.close()
    assert capsys.readouterr().err.count("warning: wandb takes no more metrics") == 1
    assert len(read_metrics(run)) == 1
