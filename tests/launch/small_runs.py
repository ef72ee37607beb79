"""Runs of every kind that train batch by batch, as small as they get."""

import torch

from lukasa.launch.cli import main

RUNS = {
    "task": "train task --task copy --core ntm --sampler.bits 2 --sampler.max-length 3 --memory.slots 5 "
    "--memory.word-size 4 --memory.controller-size 8 --batch-size 4 --steps 40 --report-every 20",
    "few-shot": "train few-shot --learner prototypical --source generated --size 16 --ways 3 --steps 4 "
    "--report-every 2",
    "questions": "train questions --data babi_made --dataset.stories 4 --sentences 20 --tasks 1,6 --apart "
    "--options.size 8 --batch-size 8 --steps 32 --report-every 16 --validate-every 16 --keep best",
    "pointers": "train pointers --points 4-5 --options.size 8 --batch-size 8 --steps 32 --report-every 16",
    "programs": "train programs --tasks bubble_sort --form recursive --base 2 --longest 3 --size 8 --encoding 8 "
    "--batch-size 4 --steps 32 --report-every 16",
}


def trained(folder, line):
    """A run that the command line trained."""
    torch.set_num_threads(1)
    assert main([*line.split(), "--out", str(folder)]) == 0
    return folder
