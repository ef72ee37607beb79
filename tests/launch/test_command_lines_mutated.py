"""Command lines made by mutating good ones: right, or one sentence and exit 2, and nothing written.

``python -m tests.launch.test_command_lines_mutated 3000 7`` tries more of them by hand, drawn from another seed.
"""

import dataclasses
import importlib
import json
import os
import random
import shutil
import sys
import tempfile
import typing
from pathlib import Path

import pytest

from lukasa.launch.cli.command import find_command
from lukasa.launch.kinds.circuits.recipes import CIRCUITS
from lukasa.launch.kinds.continual.recipes import CONTINUAL
from lukasa.launch.kinds.few_shot.recipes import FEW_SHOT
from lukasa.launch.kinds.pointers.recipes import POINTING
from lukasa.launch.kinds.programs.recipes import PROGRAMS
from lukasa.launch.kinds.questions.recipes import QUESTIONS
from lukasa.launch.kinds.rl.options import RL
from lukasa.launch.kinds.supervised.recipes import TASK
from lukasa.launch.kinds.table import kind_of
from lukasa.launch.options.fields import split_words
from lukasa.launch.options.parsing import parse
from lukasa.launch.training.requests import kind_for, read_command_line
from tests.launch.mutations import Campaign, mutated_words, verdict

GOOD = [
    "train rl repeat_previous_gru --seed 3 --lr 3e-4",
    "train rl --env FrozenLake-v1 --env-settings is_slippery False --core gru --memory.size 8 --steps 500",
    "train rl --env TMaze-L10-v0 --env-settings corridor 7 --core lstm --no-previous-action --stop-at 0.9",
    "train rl --core ntm --memory.slots 8 --memory.controller gru --algorithm appo --runners 1 --max-seq-len 16",
    "train task copy_ntm --sampler.max-length 5 --steps 100",
    "train task --task associative_recall --core gru --memory.size 16 --optimizer rmsprop --chunk 9",
    "train task --task copy --curriculum.kind doubling --curriculum.level max_length --curriculum.limit 8",
    "train task --task babi_made --sampler.tasks 1 2 --core lstm --memory.size 8 --out x --seeds 3",
    "train few-shot omniglot_prototypical --ways 5 --shots 1 --source generated",
    "train few-shot --learner sequence --options.core gru --options.core-options size 8 --source generated",
    "train questions --data babi_made --dataset.stories 3 --tasks 1,6 --apart --options.hops 2 --noise 0.1 --lr 1e-3",
    "train questions --reader recurrent --options.core gru --options.core-options size 8 --data babi_made --tasks 1-3",
    "train pointers hull_5_20 --options.size 16 --points 4-9 --lr 1e-3",
    "train pointers --task tsp --points 6 --model attention_lstm --options.no-attention --steps 100 --seeds 2",
    "train programs addition --base 4 --longest 3 --size 8 --form recursive --steps 40",
    "train circuits copy_nram --starts 2 --seeds 2 --entropy 0.1 --modules READ,INC,WRITE",
    "train continual --stream algorithms --dataset.sequences 40 --dataset.tested 8 --method ewc --options.examples 5",
    "train continual omniglot_alphabets --dataset.source generated --dataset.tasks 2 --method rehearsal --seeds 2",
    "tune copy_ntm --grid lr=1e-3,1e-4 memory.slots=8,16 --steps 100",
    "tune task --task copy --core gru --samples 2 --grid memory.size=4,8",
    "list cores --json",
    "list runs .",
    "compare RUN OTHER",
    "eval RUN --episodes 3",
    "plot RUN --seed 3",
    "view RUN --seed 3",
    "reproduce copy hindsight --quick --seeds 2 --budget 30 --out x --concurrent 1 --strict",
    "reproduce --report --json",
    "popgym RepeatPrevious AutoencodeEasy --agents gru ntm_tape --steps 1000 --seeds 1 --episodes 5 --budget 1 --out x",
    "popgym --report --agents lmu",
    "check-cluster FILE",
    "fetch file:///nowhere --out x",
]


KINDS = {
    "rl": RL,
    "task": TASK,
    "few-shot": FEW_SHOT,
    "questions": QUESTIONS,
    "pointers": POINTING,
    "programs": PROGRAMS,
    "circuits": CIRCUITS,
    "continual": CONTINUAL,
}
CAMPAIGNS = {
    "lukasa.launch.campaigns.claims.reproduce": ("ReproduceOptions", "asked_claims"),
    "lukasa.launch.campaigns.popgym.command": ("PopgymOptions", "asked_cells"),
}
"""Commands that run jobs: their options, and what reads which are asked for."""
NUMBERS = {int: (0, 1, 2, 3, 7, 64, 100, 4096, -1), float: (0, 1e-3, 0.5, 1, 1.5, 10, -1)}


def with_an_option(words, rng):
    """A command line of ``train`` with another option of its kind, and a value of its type, which it may not fit."""
    if words[0] != "train":
        return words
    hints = list(typing.get_type_hints(KINDS[words[1]].experiment).items())
    name, hint = rng.choice(hints)
    kinds = [one for one in (typing.get_args(hint) or (hint,)) if one is not type(None)]
    if typing.get_origin(hint) is typing.Literal:
        value = [rng.choice(typing.get_args(hint))]
    elif kinds[0] is bool:
        value = []
    elif kinds[0] in NUMBERS:
        value = [str(rng.choice(NUMBERS[kinds[0]]))]
    else:
        return words
    return [*words, "--" + name.replace("_", "-"), *value]


def mutated(line, rng):
    """A good line with other words, with another option or two, or with both."""
    words, kind = line.split(" "), rng.randrange(3)
    for _ in range((0, 1, 2)[kind]):
        words = with_an_option(words, rng)
    return words if kind == 2 else mutated_words(words, rng)


def check(words, build=True):
    """What ``lukasa`` does with a command line up to the point where it would train."""
    if not words:
        return  # the help
    module, rest = find_command(words)
    if module == "lukasa.launch.cli.bench":
        return  # it would compute
    program = importlib.import_module(module)
    if module == "lukasa.launch.sweeps.tune":
        sweep(program, rest)
        return
    if module == "lukasa.launch.training.command":
        request = read_command_line(rest[0], rest[1:])
        if build and small(request.experiment):
            kind_for(kind_of(rest[0]), rest[1:]).check(request.experiment)
        json.dumps(dataclasses.asdict(request.experiment), allow_nan=False)
        return
    if module in CAMPAIGNS:
        campaign(program, *CAMPAIGNS[module], rest)
        return
    code = program.main(rest)
    assert code in (0, 1, 2), code


def sweep(tune, words):
    """What ``lukasa tune`` does before its first trial; the sweep that is written then is gone again."""
    named, rest = split_words(words)
    own, theirs = tune.split_own(rest)
    options = tune.parse(tune.TuneOptions, own, prog="lukasa tune")
    if not options.resume and small(options):
        shutil.rmtree(tune.new_sweep(named, theirs, dataclasses.replace(options, out="sweep")).path)


def campaign(program, options, read, words):
    """What ``lukasa reproduce`` and ``lukasa popgym`` do before their first run."""
    named, rest = split_words(words)
    jobs = getattr(program, read)(named, parse(getattr(program, options), rest, prog="lukasa"))
    assert jobs


def small(experiment):
    """Whether what is asked for can be built here in no time."""
    numbers = [value for value in vars(experiment).values() if isinstance(value, int)]
    for group in ("memory", "sampler", "options", "env_settings"):
        numbers += [value for value in getattr(experiment, group, {}).values() if isinstance(value, int)]
    return all(abs(number) <= 2_000_000 for number in numbers)


def command_lines(count, seed, folder, build=True):
    """Try mutated command lines."""
    rng, campaign = random.Random(seed), Campaign()
    for _ in range(count):
        words = mutated(rng.choice(GOOD), rng)
        campaign.attempt(words, lambda words=words: verdict(lambda: check(words, build), folder))
    return campaign


@pytest.mark.filterwarnings("ignore")
def test_mutated_command_lines_are_right_or_one_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    tried = command_lines(200, 0, tmp_path, build=False)
    assert tried.broken == []
    assert min(tried.found["right"], tried.found["sentence"]) > 20


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        command_lines(int(sys.argv[1]), int([*sys.argv, "1"][2]), Path(name)).report("command lines")
