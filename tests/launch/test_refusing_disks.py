"""Disks that are full, and folders that are not ours: one sentence, and nothing half made is left."""

import errno
import json
import os
import struct
from pathlib import Path

import pytest
from filelock import FileLock
from tensorboardX.record_writer import RecordWriter

from lukasa.ground.mistakes import UserError
from lukasa.launch.cli import main
from lukasa.launch.comparing import run_listing, several_seeds
from lukasa.launch.comparing.several_seeds import create_several
from lukasa.launch.runs import directory, events
from lukasa.launch.runs.directory import Run, create_run, describe_run, locked
from lukasa.launch.runs.events import Events
from lukasa.launch.runs.metrics import MetricsWriter
from lukasa.launch.sweeps import sweep
from lukasa.launch.training import command
from tests.launch.refusals import fails
from tests.launch.small_runs import RUNS

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def full(*_, **__):
    raise FULL


def written(folder):
    """The events of the files in a folder, in the order that TensorBoard reads them."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted(folder.iterdir()):
        content, place = path.read_bytes(), 0
        while place < len(content):
            (length,) = struct.unpack("Q", content[place : place + 8])
            found.append(Event.FromString(content[place + 12 : place + 12 + length]))
            place += length + 16
    return found


def test_events_are_numbers_by_step_and_hide_what_a_later_sitting_replaces(tmp_path):
    for step in (0, 10):
        one = Events(tmp_path, step)
        one.write(step + 5, {"loss": 0.5, "score": 2})
        one.close()
    first, numbers, second, start, more = written(tmp_path)
    assert first.file_version == second.file_version == "brain.Event:2"
    assert {one.tag: one.simple_value for one in numbers.summary.value} == {"loss": 0.5, "score": 2.0}
    assert (numbers.step, start.step, more.step) == (5, 10, 15)
    assert start.session_log.status == 1  # START


def test_events_of_a_later_sitting_come_last_though_the_clock_was_set_back(tmp_path, monkeypatch):
    Events(tmp_path).close()
    first = next(tmp_path.iterdir())
    monkeypatch.setattr(events.time, "time", lambda: 1000.0)
    Events(tmp_path).close()
    assert sorted(tmp_path.iterdir())[0] == first
    assert len(list(tmp_path.iterdir())) == 2


def test_events_that_cannot_be_written_are_told_once_and_hold_nobody_up(tmp_path, monkeypatch, capsys):
    run = create_run(tmp_path / "run", describe_run("task", None, {}))
    writer = MetricsWriter(run)
    monkeypatch.setattr(RecordWriter, "flush", full)
    for step in range(1, 100):
        writer.write({"sequences": step, "loss": 2.0})
    writer.close()
    assert capsys.readouterr().err.count("TensorBoard takes no more metrics ([Errno 28] No space left on device)") == 1
    assert len(run.metrics_file.read_text().splitlines()) == 99


def test_run_that_finds_no_room_for_its_config_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(directory, "write_text", full)
    with pytest.raises(UserError, match="cannot be written: No space left on device"):
        create_run(tmp_path / "runs" / "run", describe_run("task", None, {}))
    assert not list(tmp_path.iterdir())
    (tmp_path / "there").mkdir()
    with pytest.raises(UserError, match="No space left"):
        create_run(tmp_path / "there", describe_run("task", None, {}))
    assert not list((tmp_path / "there").iterdir())


@pytest.mark.parametrize("where", ["a run", "the list"])
def test_seeds_that_find_no_room_leave_no_folder_and_other_seeds_as_they_were(tmp_path, monkeypatch, where):
    configs = {seed: describe_run("task", None, {"seed": seed}) for seed in range(3)}
    create_several(tmp_path / "before", "task", {0: configs[0]})
    before = sorted((tmp_path / "before").rglob("*"))
    if where == "a run":
        own, calls = several_seeds.create_run, []

        def create(path, config):
            calls.append(path)
            if len(calls) % 2 == 0:
                raise UserError("no room")
            return own(path, config)

        monkeypatch.setattr(several_seeds, "create_run", create)
    else:
        monkeypatch.setattr(several_seeds, "write_text", full)
    for name, seeds in (("new", (0, 1)), ("before", (1, 2))):
        with pytest.raises(UserError, match=r"no room|cannot be written: No space left"):
            create_several(tmp_path / name, "task", {seed: configs[seed] for seed in seeds})
    assert not (tmp_path / "new").exists()
    assert sorted((tmp_path / "before").rglob("*")) == before


def test_sweep_that_finds_no_room_leaves_no_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sweep, "write_text", full)
    words = ["tune", "task", "--task", "copy", "--core", "gru", "--grid", "lr=1e-3,1e-4", "--out", str(tmp_path / "x")]
    assert "cannot be written: No space left on device" in fails(capsys, *words)
    assert not list(tmp_path.iterdir())


def test_run_whose_lock_cannot_be_written_is_one_sentence_and_free_again(tmp_path, monkeypatch):
    run = create_run(tmp_path / "run", describe_run("task", None, {}))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pytest.raises(UserError, match="cannot be written: No space left"):
            locked(run).__enter__()
    with locked(run):
        assert (run.path / ".lock-owner").read_text() == f"process {os.getpid()}"


def test_new_run_that_another_process_took_is_not_removed(tmp_path, monkeypatch, capsys):
    own, held = command.new_run, []

    def taken(kind, request):
        run, config = own(kind, request)
        held.append(FileLock(run.path / ".lock"))
        held[0].acquire()
        return run, config

    monkeypatch.setattr(command, "new_run", taken)
    assert "is in use" in fails(capsys, *RUNS["task"].split(), "--out", str(tmp_path / "run"))
    assert json.loads(Run(tmp_path / "run").config_file.read_text())["kind"] == "task"
    held[0].release()


def test_folder_that_cannot_be_looked_into_hides_no_run(tmp_path, monkeypatch):
    for name in ("closed", "open"):
        create_run(tmp_path / name / "run", describe_run("task", None, {}))
    own = Path.iterdir

    def iterdir(self):
        if self.name == "closed":
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return own(self)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert list(run_listing.find(tmp_path)) == [tmp_path / "open" / "run"]


@pytest.mark.parametrize(
    ("number", "name", "said"),
    [
        (
            errno.ENOSPC,
            None,
            "a file cannot be written: No space left on device: make room there, or give another folder",
        ),
        (errno.EROFS, "plots/x.png", "plots/x.png cannot be written: Read-only file system: give another folder"),
        (errno.EACCES, "x", "x cannot be used: Permission denied: change its permissions, or give another folder"),
    ],
)
def test_disk_that_refuses_is_one_sentence_whatever_the_command(monkeypatch, capsys, number, name, said):
    error = OSError(number, os.strerror(number), name)
    monkeypatch.setattr(run_listing, "find", lambda folder: (_ for _ in ()).throw(error))
    assert main(["list", "runs", "."]) == 1
    assert capsys.readouterr().err == f"lukasa: {said}\n"


def test_other_errors_of_the_system_stay_faults(monkeypatch):
    error = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
    monkeypatch.setattr(run_listing, "find", lambda folder: (_ for _ in ()).throw(error))
    with pytest.raises(ConnectionRefusedError):
        main(["list", "runs", "."])
