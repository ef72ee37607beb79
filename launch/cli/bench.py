"""``lukasa bench``: programs that measure."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from lukasa.ground.mistakes import UserError
from lukasa.ground.names import nearest
from lukasa.launch.options.fields import split_words

SUBJECTS = {
    "sparse": ("lukasa.benchmarks.sparse", "SAM from a thousand slots to millions, beside a dense NTM"),
    "dictionary": (
        "lukasa.benchmarks.dictionary",
        "a neural dictionary of a million entries beside one of ten thousand",
    ),
    "cores": ("lukasa.benchmarks.cores", "the dense cores beside their equations and public implementations"),
    "field": ("lukasa.benchmarks.every_core", "a step of every core, beside PyTorch's and packages of others"),
    "states": ("lukasa.benchmarks.state_bytes", "bytes that an env runner ships per environment step"),
    "gpu": ("lukasa.benchmarks.gpu", "the tests that need a GPU, and what it gives beside the CPU, in eight minutes"),
    "recurrent": ("lukasa.benchmarks.recurrent", "the LSTM and GRU cores beside torch.nn, with resets and without"),
    "scans": (
        "lukasa.benchmarks.scans",
        "cores that run a whole sequence at once, beside their steps and torch's LSTM",
    ),
    "rl": ("lukasa.benchmarks.rl_speed", "what sampling and learning of the RL recipes cost, beside a bare loop"),
    "act": (
        "lukasa.benchmarks.portable",
        "an agent out of its file beside RLlib's module, alone and served",
    ),
    "acting": ("lukasa.benchmarks.acting", "one step without gradient, with weights packed once and at each step"),
    "runners": (
        "lukasa.benchmarks.runners",
        "steps a second of one agent with several numbers of runners, and who waits",
    ),
    "recovery": (
        "lukasa.benchmarks.recovery",
        "an env runner, a Train worker, a machine is killed: seconds to progress",
    ),
    "sharded": ("lukasa.benchmarks.sharded", "a memory in shards beside one process, a shard killed and brought back"),
    "episodes": (
        "lukasa.benchmarks.episodes",
        "episodes that the Omniglot samplers draw a second, beside training on them",
    ),
    "defaults": ("lukasa.benchmarks.defaults", "what agents learn by default, beside those of stable-baselines3"),
    "facts": ("lukasa.benchmarks.facts", "questions about a million facts, found by FAISS, exactly and by key hashing"),
    "models": ("lukasa.benchmarks.models", "train the models that come with lukasa anew, and a table of their figures"),
    "lifelong": (
        "lukasa.benchmarks.lifelong",
        "all characters of Omniglot in one class memory, FAISS beside exact search",
    ),
}
"""Every subject: the module whose ``main(argv)`` measures it, imported only then, and what it is."""


def main(argv: Sequence[str]) -> int:
    """Measure the subject that the command line names; the options are those of the subject.

    Raises:
        UserError: there is no such subject.
    """
    words, rest = split_words(argv)
    if not words and {"-h", "--help"} & set(rest):
        print("usage: lukasa bench SUBJECT [--option value ...]\n")
        for name, (_, text) in SUBJECTS.items():
            print(f"  lukasa bench {name:<10}{text}")
        return 0
    if len(words) != 1:
        raise UserError(f"lukasa bench takes one subject: choose one of {', '.join(SUBJECTS)}")
    if words[0] not in SUBJECTS:
        raise UserError(f"there is no benchmark of {words[0]!r}: {nearest(words[0], SUBJECTS)}")
    return importlib.import_module(SUBJECTS[words[0]][0]).main(rest)
