import json
import shlex
import threading
from pathlib import Path

import pytest

from lukasa.ground.mistakes import UserError
from lukasa.launch.cli import main
from lukasa.launch.runs import storage
from lukasa.launch.runs.checkpoints import list_checkpoints, load_checkpoint, save_checkpoint
from lukasa.launch.runs.directory import create_run, describe_run
from lukasa.launch.runs.metrics import rewind_metrics
from lukasa.launch.runs.storage import Copy, fetch, open_copy, synced


@pytest.fixture
def run(tmp_path):
    """A run directory with one checkpoint at step 10 and metrics up to step 12."""
    run = create_run(tmp_path / "run", describe_run("task", None, {"task": "copy"}))
    save_checkpoint(run.checkpoints, 10, {"weights": [1.0, 2.0]}, None)
    run.metrics_file.write_text('{"sequences": 10, "loss": 1.5}\n{"sequences": 12, "loss": 1.0}\n')
    return run


@pytest.fixture(params=["file", "memory"])
def uri(request, tmp_path):
    """Storage that pyarrow knows, and storage that fsspec knows."""
    return f"file://{tmp_path}/store/run" if request.param == "file" else f"memory://lukasa-test/{tmp_path.name}"


def test_fetched_run_is_the_pushed_one(run, uri, tmp_path):
    open_copy(uri).push(run.path)
    assert fetch(uri, tmp_path / "back") == 1

    def contents(folder):
        return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    assert contents(tmp_path / "back") == contents(run.path)


def test_checkpoints_dropped_from_the_run_leave_storage(run, uri):
    copy = open_copy(uri)
    copy.push(run.path)
    for step in (20, 30, 40):
        save_checkpoint(run.checkpoints, step, {"weights": [0.0]}, 1.0, keep=1)
        copy.push(run.path)
    assert json.loads(copy.read(storage.SYNCED_FILE)) == {"checkpoints": ["step-000000000040"]}
    assert copy.read("checkpoints/step-000000000010/state.pt") is None


class CutOffError(Exception):
    pass


@pytest.mark.parametrize("writes", range(1, 6))
def test_push_cut_off_anywhere_leaves_a_run_that_goes_on(run, tmp_path, monkeypatch, writes):
    uri = f"file://{tmp_path}/store"
    copy = open_copy(uri)
    copy.push(run.path)
    save_checkpoint(run.checkpoints, 20, {"weights": [3.0]}, None)
    with open(run.metrics_file, "a") as file:
        file.write('{"sequences": 20, "loss": 0.5}\n')
    left = iter(range(writes - 1))
    write = Copy.write

    def write_until_cut_off(self, name, content):
        if next(left, None) is None:
            raise CutOffError
        write(self, name, content)

    monkeypatch.setattr(Copy, "write", write_until_cut_off)
    try:
        copy.push(run.path)
    except CutOffError:
        whole = writes == 5
    else:
        whole = True
    fetch(uri, tmp_path / "back")
    back = type(run)(tmp_path / "back", run.step_key)
    checkpoints = list_checkpoints(back.checkpoints)
    assert [one.step for one in checkpoints] == ([10, 20] if whole else [10])
    assert load_checkpoint(checkpoints[-1])["weights"] == ([3.0] if whole else [1.0, 2.0])
    assert rewind_metrics(back, 10)[-1]["sequences"] == 10


def test_checkpoint_reaches_storage_while_training_goes_on(run, tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "SECONDS_BETWEEN_LOOKS", 0.01)
    pushed = threading.Event()
    push = Copy.push

    def push_and_tell(self, path):
        push(self, path)
        if (path / "checkpoints" / "step-000000000020").exists():
            pushed.set()

    monkeypatch.setattr(Copy, "push", push_and_tell)
    uri = f"file://{tmp_path}/store"
    with synced(run.path, uri):
        save_checkpoint(run.checkpoints, 20, {"weights": [3.0]}, None)
        assert pushed.wait(10)
        assert fetch(uri, tmp_path / "back") == 2


def test_last_metrics_reach_storage_at_the_end(run, tmp_path):
    uri = f"file://{tmp_path}/store"
    with synced(run.path, uri):
        run.metrics_file.write_text('{"sequences": 99}\n')
    assert (tmp_path / "store" / "metrics.jsonl").read_text() == '{"sequences": 99}\n'


def test_storage_that_fails_is_told_of_and_training_goes_on(run, tmp_path, monkeypatch, capsys):
    with synced(run.path, f"file://{tmp_path}/store"):
        monkeypatch.setattr(Copy, "push", lambda *_: (_ for _ in ()).throw(OSError("no such bucket\nat s3.cc:12")))
    told = capsys.readouterr().err
    assert told == f"sync to file://{tmp_path}/store failed, the run itself goes on: no such bucket\n"


def test_storage_of_another_run_is_refused(run, tmp_path):
    uri = f"file://{tmp_path}/store"
    open_copy(uri).push(run.path)
    other = create_run(tmp_path / "other", describe_run("task", None, {}) | {"created": "2001-01-01T00:00:00+00:00"})
    with pytest.raises(UserError, match=r"holds another run: choose another URI"), synced(other.path, uri):
        pass
    assert json.loads((tmp_path / "store" / "config.json").read_text())["experiment"] == {"task": "copy"}


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("runs/mine", "is no URI: expected one such as s3://bucket/name"),
        ("nowhere://bucket/run", "cannot be used: Protocol not known: nowhere"),
    ],
)
def test_uri_that_is_none_is_one_sentence(uri, message):
    with pytest.raises(UserError, match=message):
        open_copy(uri)


def test_fetch_where_there_is_no_run_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"there is no run at file://.*: give what was --sync"):
        fetch(f"file://{tmp_path}/store", tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_fetch_does_not_write_over_a_run(run, uri):
    open_copy(uri).push(run.path)
    with pytest.raises(UserError, match="exists: choose another --out"):
        fetch(uri, run.path)


SMALL = "--core lstm --memory.size 4 --sampler.max-length 3 --batch-size 4 --report-every 8"
WORDS = ["train", "task", "--task", "copy", *shlex.split(SMALL)]


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_run_goes_on_from_storage_where_its_disk_is_gone(tmp_path):
    sync = ["--sync", f"file://{tmp_path}/store"]
    assert main([*WORDS, "--steps", "32", "--out", str(tmp_path / "whole")]) == 0
    assert main([*WORDS, "--steps", "16", "--out", str(tmp_path / "first"), *sync]) == 0
    fresh = tmp_path / "fresh"
    assert main(["train", "task", "--out", str(fresh), "--resume", "--steps", "32", *sync]) == 0
    assert losses(fresh) == losses(tmp_path / "whole")
    assert losses(tmp_path / "store") == losses(fresh)


def test_fetch_command_makes_a_run_directory(run, uri, tmp_path, capsys, monkeypatch):
    open_copy(uri).push(run.path)
    monkeypatch.chdir(tmp_path)
    assert main(["fetch", uri]) == 0
    name = uri.rpartition("/")[2]
    assert capsys.readouterr().out == f"runs/{name}\n"
    assert (tmp_path / "runs" / name / "config.json").exists()
