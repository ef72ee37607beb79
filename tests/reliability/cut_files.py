"""Files cut short at every byte, damaged at random, or written to harm: read rightly or refused by name."""

import json
import os
import pickle
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch
from gymnasium import spaces

from lukasa.agents.portable import load_agent
from lukasa.agents.portable.agent_file import AgentFileError
from lukasa.ground.mistakes import UserError
from lukasa.launch.kinds.table import kind_of
from lukasa.launch.runs.checkpoints import Checkpoint, list_checkpoints, load_checkpoint
from lukasa.launch.runs.directory import open_run, read_metrics
from lukasa.launch.training.requests import read_request
from lukasa.memory.sparse import SparseMemory
from tests.agents.portable.playing import agent_module, exported
from tests.launch.mutations import Campaign, is_sentence, mutated_bytes
from tests.launch.small_runs import RUNS, trained

Read = Callable[[], object]


def readers(folder: Path) -> dict[Path, Read]:
    """Small files of every kind, each with what reads it."""
    run = trained(folder / "run", RUNS["task"])
    checkpoint = list_checkpoints(run / "checkpoints")[-1]
    agent, sparse = folder / "agent.lukasa", folder / "sparse"
    write_agent(agent)
    memory = SparseMemory.empty(batch_size=1, slots=8, word_size=3)
    memory.write(memory.least_recent(5), torch.zeros(1, 5, dtype=torch.bool), torch.rand(1, 5, 3)).save(sparse)
    return {
        checkpoint.path / "state.pt": lambda: load_checkpoint(checkpoint),
        checkpoint.path / "manifest.json": lambda: load_checkpoint(checkpoint),
        run / "config.json": lambda: _read_config(run),
        run / "metrics.jsonl": lambda: read_metrics(open_run(run)[0]),
        sparse: lambda: SparseMemory.load(sparse),
        agent: lambda: load_agent(agent),
    }


def write_agent(path: Path) -> None:
    """The file of a small agent, which has learned nothing."""
    exported(agent_module(spaces.Box(-1, 1, (3,)), spaces.Discrete(2), options={"size": 4}), path)


def _read_config(run: Path) -> object:
    _, config = open_run(run)
    return read_request(kind_of(config["kind"]).experiments, ["--out", str(run), "--resume"])


def read(file: Path, how: Read, *, named: bool = True) -> str:
    """What became of reading a file: "right", or the sentence, which names the file or its folder where it has to."""
    try:
        how()
    except (UserError, AgentFileError, ValueError) as error:
        if type(error) not in (UserError, AgentFileError, ValueError):
            raise
        said = is_sentence(" ".join(str(error).split()))
        assert not named or any(str(one) in said for one in (file, *file.parents[:2])), said
        return said
    return "right"


def truncations(folder: Path, seed: int = 0, at_most: int | None = None) -> dict[str, Campaign]:
    """Cut every file short at every byte, or at so many."""
    rng, found = random.Random(seed), {}
    for file, how in readers(folder).items():
        content, tried = file.read_bytes(), Campaign()
        places = range(len(content))
        for place in places if at_most is None or at_most >= len(places) else sorted(rng.sample(places, at_most)):
            os.truncate(file, 0)
            file.write_bytes(content[:place])
            tried.attempt((file.name, place), lambda file=file, how=how: read(file, how))
        file.write_bytes(content)
        if file.suffix == ".jsonl":
            assert not tried.broken  # a last line that is cut short is left out
        found[f"{file.name} cut short"] = tried
    return found


def corruptions(count: int, seed: int, folder: Path) -> dict[str, Campaign]:
    """Damage the same files at random."""
    rng, found = random.Random(seed), {}
    files = readers(folder)
    for file, how in files.items():
        content, tried = file.read_bytes(), Campaign()
        for _ in range(count // len(files)):
            bad = mutated_bytes(content, rng)
            file.write_bytes(bad)
            named = file.name != "config.json"  # of one that was edited, the field is named
            tried.attempt((file.name, bad[:200]), lambda file=file, how=how, named=named: read(file, how, named=named))
        file.write_bytes(content)
        found[f"{file.name} damaged"] = tried
    return found


class Hostile:
    """What runs a command when it is unpickled."""

    def __init__(self, mark: Path, way: Callable[..., object]):
        self._mark, self._way = mark, way

    def __reduce__(self):
        return self._way, (f"touch {self._mark}",) if self._way is os.system else (f"open({str(self._mark)!r}, 'w')",)


def hostile(folder: Path) -> Campaign:
    """Put pickles that run a command where tensors are expected, with checksums that fit: none of them runs."""
    tried, mark = Campaign(), folder / "ran"
    checkpoint = list_checkpoints(trained(folder / "hostile", RUNS["task"]) / "checkpoints")[-1]
    state = checkpoint.path / "state.pt"
    good = state.read_bytes()
    for way in (os.system, eval, exec):
        bad = Hostile(mark, way)
        for content in (
            pickle.dumps(bad),
            pickle.dumps({"trainer": bad}, protocol=2),
            _saved(folder, {"trainer": bad}, zipped=True),
            _saved(folder, {"trainer": bad}, zipped=False),
            _with_pickle(folder, good, pickle.dumps(bad, protocol=2)),
        ):
            state.write_bytes(content)
            _sign(checkpoint)
            tried.attempt((way.__name__, content[:80]), lambda: _refused(state, checkpoint, mark))
    state.write_bytes(good)
    _sign(checkpoint)
    assert read(state, lambda: load_checkpoint(checkpoint)) == "right"
    return tried


def _refused(state: Path, checkpoint: Checkpoint, mark: Path) -> str:
    said = read(state, lambda: load_checkpoint(checkpoint))
    assert not mark.exists(), "code of a file was run"
    assert said != "right", "a file that is none of ours was taken"
    return said


def _saved(folder: Path, value: object, *, zipped: bool) -> bytes:
    file = folder / "saved"
    torch.save(value, file, _use_new_zipfile_serialization=zipped)
    return file.read_bytes()


def _with_pickle(folder: Path, good: bytes, bad: bytes) -> bytes:
    """A good archive of tensors with another pickle in it."""
    file, other = folder / "good.pt", folder / "bad.pt"
    file.write_bytes(good)
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(other, "w") as target:
        for name in source.namelist():
            target.writestr(name, bad if name.endswith("data.pkl") else source.read(name))
    return other.read_bytes()


def _sign(checkpoint: Checkpoint) -> None:
    """Have the manifest say what the file is now."""
    import hashlib

    file, manifest = checkpoint.path / "state.pt", checkpoint.path / "manifest.json"
    content = file.read_bytes()
    found = json.loads(manifest.read_text())
    found["files"]["state.pt"] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest.write_text(json.dumps(found))
