"""Files made by mutating good ones: run directories, cluster files, data; right, or one sentence and nothing written.

``python -m tests.launch.test_files_mutated 1000 runs/an-agent`` tries so many of each kind by hand, and as many of the
files of a run of one's own.
"""

import json
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
import torch
import yaml

from lukasa.launch.clusters.checking import check_cluster
from lukasa.launch.kinds.table import kind_of
from lukasa.launch.runs.checkpoints import list_checkpoints, load_checkpoint
from lukasa.launch.runs.directory import open_run, read_metrics
from lukasa.launch.training.beginning import as_it_begins
from lukasa.launch.training.requests import read_command_line, read_request
from lukasa.memory.sparse import SparseMemory
from lukasa.tasks.babi_files import FOLDER, TITLES
from lukasa.tasks.data import DataError
from lukasa.tasks.making import make_task
from lukasa.tasks.one_shot_runs import read_one_shot_runs
from tests.launch.mutations import Campaign, mutated_bytes, mutated_value, verdict, verdict_of_command
from tests.launch.small_runs import RUNS, trained
from tests.launch.test_command_lines_mutated import small
from tests.tasks.drawn import bits, png

ROOT = Path(__file__).parents[2]
SHORT = {
    "rl": ("--episodes", "2"),
    "task": ("--sequences", "2"),
    "few-shot": ("--episodes", "2"),
    "questions": ("--part", "validation"),
    "pointers": ("--sets", "4"),
    "programs": ("--lengths", "2", "--samples", "2"),
}


def use(run, command, folder):
    """What becomes of a run that is evaluated, drawn, compared, listed or continued as far as its first step."""
    if command == "resume":
        return verdict(lambda: continued(run), folder)
    kind = json.loads((run.parent / "good.json").read_text())["kind"]
    words = {
        "eval": ["eval", run, *SHORT[kind], "--json"],
        "plot": ["plot", run],
        "compare": ["compare", run, run.parent / "other"],
        "list": ["list", "runs", run.parent],
    }[command]
    return verdict_of_command(list(map(str, words)), folder, may_write=(f"{run.name}/plots", "other/plots"))


def continued(run):
    """What ``--resume`` does before it trains."""
    _, config = open_run(run)
    kind = kind_of(config["kind"])
    request = read_request(kind.experiments, ["--out", str(run), "--resume"])
    if small(request.experiment):
        kind.check(as_it_begins(kind.experiments, request))
    read_metrics(open_run(run)[0])
    for checkpoint in list_checkpoints(run / "checkpoints")[-1:]:
        load_checkpoint(checkpoint)


def runs(count, seed, run):
    """Try mutated files of a run, which is left as it was; its folder holds nothing but it and a copy of it."""
    rng, campaign, folder = random.Random(seed), Campaign(), run.parent
    config = json.loads((run / "config.json").read_text())
    (folder / "good.json").write_text(json.dumps(config))
    state, manifest = (
        sorted(run.glob("checkpoints/*/state.pt"))[-1],
        sorted(run.glob("checkpoints/*/manifest.json"))[-1],
    )
    for _ in range(count):
        file = rng.choice((run / "config.json",) * 4 + (run / "metrics.jsonl", state, manifest))
        good = file.read_bytes()
        if file.name == "config.json" and rng.random() < 0.8:
            bad = {**config, **mutated_value({"experiment": config["experiment"]}, rng)}
            bad = json.dumps(bad if rng.random() < 0.8 else mutated_value(config, rng)).encode()
        else:
            bad = mutated_bytes(good, rng)
        file.write_bytes(bad)
        command = rng.choice(("eval", "eval", "plot", "compare", "list", "resume"))
        shown = (command, file.name, changed(good, bad) if file.name == "config.json" else bad[:200])
        campaign.attempt(shown, lambda command=command: use(run, command, folder))
        file.write_bytes(good)
    return campaign


def changed(good, bad):
    """The settings of a config that were mutated, or the beginning of what is no config any more."""
    try:
        one, other = flat(json.loads(good)), flat(json.loads(bad))
    except ValueError:
        return bad[:300]
    return {name: other.get(name, "gone") for name in {**one, **other} if one.get(name, "-") != other.get(name, "-")}


def flat(value, name=""):
    """The ends of a JSON value by the names that lead there."""
    if not isinstance(value, dict) or not value:
        return {name: value}
    return {key: end for part, inner in value.items() for key, end in flat(inner, f"{name}.{part}").items()}


def cluster_files(count, seed, folder):
    """Try mutated cluster files, of ``ray up`` and of KubeRay."""
    rng, campaign = random.Random(seed), Campaign()
    texts = [
        (ROOT / "launch" / name).read_text()
        for name in ("cluster.yaml", "cluster-gcp.yaml", "cluster-onprem.yaml", "kuberay.yaml")
    ]
    file = folder / "cluster.yaml"
    for _ in range(count):
        text = rng.choice(texts)
        if rng.random() < 0.75:
            bad = yaml.safe_dump(mutated_value(yaml.safe_load(text), rng), sort_keys=False).encode()
        else:
            bad = mutated_bytes(text.encode(), rng)
        file.write_bytes(bad)
        campaign.attempt(bad.decode(errors="replace"), lambda: verdict(lambda: check_cluster(file), folder))
    return campaign


STORIES = (
    b"1 Mary moved to the bathroom.\n2 John went to the hallway.\n3 Where is Mary? \tbathroom\t1\n"
    b"4 Daniel went back to the hallway.\n5 Where is Daniel? \thallway\t4\n"
) * 10
LESSONS = b'[{"max_length": 2}, {"max_length": 3}]'


def one_shot_runs():
    """Two small runs, as the official archive holds twenty."""
    contents = {}
    for name in ("run01", "run02"):
        lines = []
        for item in (1, 2, 3):
            contents[f"{name}/training/class{item:02d}.png"] = contents[f"{name}/test/item{item:02d}.png"] = png(
                bits(item)
            )
            lines.append(f"{name}/test/item{item:02d}.png {name}/training/class{item:02d}.png\n")
        contents[f"{name}/class_labels.txt"] = "".join(lines).encode()
    return contents


def data_files(count, seed, folder):
    """Try mutated stories, one-shot runs, lessons and files of sparse memories."""
    rng, campaign = random.Random(seed), Campaign()
    kept = SparseMemory.empty(batch_size=1, slots=16, word_size=3)
    kept = kept.write(kept.least_recent(5), torch.zeros(1, 5, dtype=torch.bool), torch.rand(1, 5, 3))
    kept.save(folder / "memory")
    archive, memory = one_shot_runs(), (folder / "memory").read_bytes()
    stories = folder / FOLDER / "en" / f"qa1_{TITLES[0]}_train.txt"
    stories.parent.mkdir(parents=True)
    for kind, read in {
        "stories": lambda: make_task("babi", tasks=(1,), size="en", data_dir=str(folder)).sample(2, torch.Generator()),
        "one-shot runs": lambda: read_one_shot_runs(folder / "runs", runs=2),
        "lessons": lambda: kind_of("task").check(lessons(folder / "lessons.json")),
        "memory": lambda: sparse(folder / "memory"),
    }.items():
        for _ in range(count // 4):
            files = {
                "stories": {stories: STORIES},
                "one-shot runs": {folder / "runs" / name: content for name, content in archive.items()},
                "lessons": {folder / "lessons.json": LESSONS},
                "memory": {folder / "memory": memory},
            }[kind]
            bad = rng.choice(list(files))
            for file, content in files.items():
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(mutated_bytes(content, rng) if file == bad else content)
            campaign.attempt((kind, bad.name, bad.read_bytes()[:200]), lambda read=read: verdict(read, folder))
    return campaign


def lessons(file):
    """The experiment whose lessons a file holds."""
    line = "--task copy --core gru --memory.size 4 --curriculum.kind lessons --curriculum.lessons"
    return read_command_line("task", [*line.split(), str(file)]).experiment


def sparse(file):
    """Read a sparse memory, whose errors are ordinary ones that name the file."""
    try:
        SparseMemory.load(file)
    except ValueError as error:
        raise DataError(str(error)) from None  # as a program that is told so would


SLOW = [pytest.param(one, marks=pytest.mark.slow) for one in ("few-shot", "questions", "pointers", "programs")]


@pytest.fixture(scope="module", params=["task", *SLOW])
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    trained(folder / "other", RUNS[request.param] + " --seed 1")
    return trained(folder / "run", RUNS[request.param])


@pytest.mark.filterwarnings("ignore")
def test_mutated_files_of_runs_are_right_or_one_sentence(run):
    tried = runs(14, 0, run)
    assert tried.broken == []
    assert min(tried.found["right"], tried.found["sentence"]) > 2


@pytest.mark.parametrize("command", ["eval", "plot"])
def test_checkpoint_that_does_not_fit_its_config_is_refused_and_nothing_drawn(run, command):
    file = run / "config.json"
    good = file.read_text()
    (run.parent / "good.json").write_text(good)
    sizes = {
        "task": ("word_size", 4, 5),
        "few-shot": ("channels", 64, 8),
        "questions": ("size", 8, 9),
        "pointers": ("size", 8, 9),
        "programs": ("size", 8, 9),
    }
    sizes = sizes[json.loads(good)["kind"]]
    assert f'"{sizes[0]}": {sizes[1]}' in good
    file.write_text(good.replace(f'"{sizes[0]}": {sizes[1]}', f'"{sizes[0]}": {sizes[2]}'))
    try:
        assert "does not fit" in use(run, command, run.parent)
    finally:
        file.write_text(good)


@pytest.mark.filterwarnings("ignore")
def test_mutated_cluster_files_are_right_or_one_sentence(tmp_path, monkeypatch):
    with_token(tmp_path, monkeypatch.setenv)
    monkeypatch.chdir(ROOT)
    tried = cluster_files(50, 0, tmp_path)
    assert tried.broken == []
    assert min(tried.found["right"], tried.found["sentence"]) > 5


def test_mutated_data_files_are_right_or_one_sentence(tmp_path):
    tried = data_files(60, 0, tmp_path)
    assert tried.broken == []
    assert min(tried.found["right"], tried.found["sentence"]) > 5


def with_token(folder, setenv):
    """The token that the cluster files ask for."""
    setenv("HOME", str(folder))
    (folder / ".ray").mkdir()
    (folder / ".ray" / "auth_token").write_text("0" * 64)


if __name__ == "__main__":
    number = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        for kind in ("task", "few-shot", "questions", "pointers", "programs"):
            trained(place / kind / "other", RUNS[kind] + " --seed 1")
            runs(number, 1, trained(place / kind / "run", RUNS[kind])).report(f"{kind} runs")
        (place / "data").mkdir()
        data_files(number, 1, place / "data").report("data files")
        (place / "clusters").mkdir()
        with_token(place / "clusters", os.environ.__setitem__)
        os.chdir(ROOT)
        cluster_files(number, 1, place / "clusters").report("cluster files")
        for path in sys.argv[2:]:
            shutil.copytree(path, place / "own" / "run")
            shutil.copytree(path, place / "own" / "other")
            runs(number, 1, place / "own" / "run").report(path)
            shutil.rmtree(place / "own")
