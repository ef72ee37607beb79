"""Tasks, learners, indexes and environments of one's own: each page's example, trained and evaluated as it says."""

import json
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

from lukasa import envs, memory, tasks
from lukasa.agents.few_shot import make_learner
from lukasa.launch.cli import main
from tests.launch.refusals import fails

DOCS = Path(__file__).parents[2] / "docs"
MODULES = {"own-tasks": "firsts", "own-learners": "middles", "own-indexes": "latest", "own-environments": "digits"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    for page, name in MODULES.items():
        module = re.findall(r"```python\n(.*?)```", (DOCS / f"{page}.md").read_text(), re.DOTALL)[0]
        assert module.startswith(f"# {name}.py\n")
        (tmp_path / f"{name}.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in MODULES.values():
        sys.modules.pop(name, None)


def commands(page):
    lines = re.findall(r"^lukasa (.*)$", (DOCS / f"{page}.md").read_text(), re.MULTILINE)
    # Points in place of drawn characters, which take twenty seconds to draw.
    points = ("--data omniglot_strokes --size 16", "--data array --dataset.file points.npy")
    return [shlex.split(line.replace(*points)) for line in lines]


@pytest.mark.parametrize("page", ["own-tasks", "own-learners", "own-indexes"])
def test_example_is_trained_evaluated_drawn_and_resumed(page, capsys):
    train, evaluate = commands(page)
    np.save("points.npy", np.random.default_rng(0).random((60, 20, 4, 4)))
    assert main(train) == 0
    assert main([*evaluate, "--json"]) == 0
    out, more = train[train.index("--out") + 1], 2 * int(train[train.index("--steps") + 1])
    capsys.readouterr()
    assert main(["plot", out]) == 0
    assert all(Path(path).exists() for path in capsys.readouterr().out.split())
    assert main([*train[:2], "--out", out, "--resume", "--steps", str(more)]) == 0
    config = json.loads((Path(out) / "config.json").read_text())
    assert f"{MODULES[page]}:" in json.dumps(config)


def test_task_has_its_splits_and_a_sampler_alone_has_its_defaults():
    assert tasks.make_task("firsts:TASK", split="longer").max_length == 12
    assert list(tasks.task_options("firsts:First")) == ["bits", "min_length", "max_length"]
    sampler = tasks.make_task("firsts:First", bits=3)
    assert sampler.spec.output_size == 3
    batches = list(tasks.split_batches("firsts:TASK", "test", 150))
    assert [len(batch.mask) for batch in batches] == [150, 50]
    assert batches[0].mask.sum(1).eq(1).all()
    assert batches[0].inputs[:, 0, :4].equal(batches[0].targets[batches[0].mask])


def test_learner_index_and_environment_are_made_from_python():
    assert make_learner("middles:Middles", (4, 4), 5, width=3).layer.out_features == 3
    core = memory.make_core("sam", input_size=2, output_size=2, index="latest:Latest", index_options={"window": 8})
    assert core.initial_state(2).memory.store.index.window == 8
    assert envs.make("digits:Digits", wait=5).reset(seed=0)[0] in range(1, 5)
    assert envs.make_vec("digits:Digits", 3).num_envs == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("task --task firsts:TUSK", "task 'firsts:TUSK': module 'firsts' has no 'TUSK': did you mean 'TASK'?"),
        ("task --task middles:Middles", "'middles:Middles' is Middles: expected a lukasa.tasks.Task, or a class"),
        ("task --task nowhere:TASK", "task 'nowhere:TASK': there is no module 'nowhere' to import"),
        ("task --task firsts:TASK --sampler.bit 3", "did you mean '--sampler.bits'?"),
        ("task --task firsts:TASK --sampler.bits many", "option --sampler.bits is 'many': expected a whole number"),
        ("task firsts:TASK", "unknown recipe 'firsts:TASK': your own task is given by --task firsts:TASK"),
        ("few-shot --learner middles:Muddles", "has no 'Muddles': did you mean 'Middles'?"),
        (
            "few-shot --learner latest:Latest",
            "'latest:Latest' is Latest: expected a subclass of",
        ),
        ("few-shot --learner middles:Middles --options.with 3", "did you mean '--options.width'?"),
        ("task copy_ntm --core sam --memory.index latest:Last", "has no 'Last': did you mean 'Latest'?"),
        ("task copy_ntm --core sam --memory.index firsts:First", "is First: expected a class with the methods update"),
        ("task copy_ntm --core sam --memory.index latest:Latest --memory.index-options windo 3", "mean 'window'?"),
        ("rl --env digits:Digit", "unknown environment 'digits:Digit': "),
        ("rl digits:Digits", "your own environment is given by --env digits:Digits"),
    ],
)
def test_mistakes_are_one_sentence_and_write_nothing(folder, capsys, words, message):
    assert message in fails(capsys, "train", *words.split(), "--out", "run")
    assert not (folder / "run").exists()
