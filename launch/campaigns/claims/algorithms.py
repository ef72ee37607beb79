"""What the Neural Turing Machine and the Differentiable Neural Computer learn of algorithms."""

from __future__ import annotations

from lukasa.launch.campaigns.claims.claim import Bound, Claim, Quick, Trained
from lukasa.launch.kinds.published import PUBLISHED

GRAVES_2014 = "Graves et al. 2014, Neural Turing Machines"
GRAVES_2016 = "Graves et al. 2016, Hybrid computing using a neural network with dynamic external memory"

OPTIMUM = 133.1
"""Bits per sequence of the best guess at dynamic n-grams, measured over 60,000 sequences."""


def _paper(task: str, core: str) -> str:
    """What the paper reports, for people."""
    return f"{PUBLISHED[task, core]:g}"


CLAIMS = (
    Claim(
        "copy",
        GRAVES_2014,
        "An NTM that learned to copy up to 20 words copies 120: less than 1 % of the bits are wrong.",
        (Trained("ntm", "task copy_ntm --steps 200000", "--length 20,120 --sequences 200"),),
        (
            Bound("% of bits wrong, 20 words", "ntm", "lengths[length=20].wrong", at_most=0.1, every_seed=True),
            Bound("% of bits wrong, 120 words", "ntm", "lengths[length=120].wrong", at_most=1.0, every_seed=True),
        ),
        minutes=25,
        quick=Quick(
            models=(
                Trained("ntm", "task copy_ntm --steps 40000", "--length 20 --sequences 100 --ablation"),
                Trained("lstm", "task copy_lstm --steps 4000", "--length 20 --sequences 100"),
            ),
            bounds=(
                Bound("% of bits wrong, 20 words, NTM", "ntm", "lengths[length=20].wrong", at_most=1.0),
                Bound(
                    "% of bits that wiping the memory adds",
                    "ntm",
                    "ablation[without=memory].wrong",
                    at_least=20.0,
                    minus=("ntm", "lengths[length=20].wrong"),
                ),
                Bound("% of bits wrong, 20 words, LSTM", "lstm", "lengths[length=20].wrong", at_least=10.0),
            ),
            minutes=2,
            says="40,000 sequences, tested at the length of training, with the memory wiped, and beside an LSTM",
        ),
    ),
    Claim(
        "repeat_copy",
        GRAVES_2014,
        "An NTM learns to repeat up to 10 words up to 10 times, to within 5 bits per sequence.",
        (Trained("ntm", "task repeat_copy_ntm", "--sequences 300"),),
        (Bound("bits per sequence", "ntm", "score", at_most=5.0, paper="about 5 after 50,000 sequences"),),
        minutes=25,
    ),
    Claim(
        "repeat_copy_longer",
        GRAVES_2014,
        "What the NTM learned of repeating holds for twice the words, and so does what the DNC learned.",
        (
            Trained("ntm", "task repeat_copy_ntm", "--length 10,20 --sequences 100"),
            Trained("dnc", "task repeat_copy_dnc", "--length 2,4 --sequences 200"),
        ),
        (
            Bound("% of bits wrong, 20 words, NTM", "ntm", "lengths[length=20].wrong", at_most=1.0),
            Bound("% of bits wrong, 4 words, DNC", "dnc", "lengths[length=4].wrong", at_most=1.0),
        ),
        seeds=(0, 1),
        minutes=30,
    ),
    Claim(
        "associative_recall",
        GRAVES_2014,
        "An NTM with a feed-forward controller, trained on 2 to 6 items, recalls among 15, to within about 1.5 bits.",
        (Trained("ntm", "task associative_recall_ntm", "--length 6,10,15 --sequences 200"),),
        (
            Bound("bits per sequence, 6 items", "ntm", "lengths[length=6].score", at_most=0.5, every_seed=True),
            Bound(
                "bits per sequence, 15 items",
                "ntm",
                "lengths[length=15].score",
                at_most=1.5,
                every_seed=True,
                paper="about 1.5",
            ),
        ),
        minutes=9,
    ),
    Claim(
        "ngrams",
        GRAVES_2014,
        "An NTM learns to predict a random table of 32 probabilities to within 1 bit of the optimum, 133.1 bits.",
        (
            Trained("ntm", "task ngrams_ntm", "--sequences 1000"),
            Trained("lstm", "task ngrams_lstm", "--sequences 1000"),
        ),
        (
            Bound("bits per sequence, NTM", "ntm", "score", at_most=OPTIMUM + 1, paper=_paper("ngrams", "ntm")),
            Bound("bits that the LSTM is behind", "lstm", "score", at_least=0.0, minus=("ntm", "score")),
        ),
        seeds=(0, 1),
        minutes=60,
    ),
    Claim(
        "priority_sort",
        GRAVES_2014,
        "An NTM sorts the 16 highest of 20 words by priority, to within 20 bits per sequence; an LSTM does not.",
        (
            Trained("ntm", "task priority_sort_ntm", "--sequences 500"),
            Trained("lstm", "task priority_sort_lstm", "--sequences 500"),
        ),
        (
            Bound("bits per sequence, NTM", "ntm", "score", at_most=20.0, paper=_paper("priority_sort", "ntm")),
            Bound("bits that the LSTM is behind", "lstm", "score", at_least=20.0, minus=("ntm", "score")),
        ),
        seeds=(0,),
        minutes=60,
    ),
    Claim(
        "copy_dnc",
        GRAVES_2016,
        "A DNC learns to copy, and keeps to it.",
        (Trained("dnc", "task copy_dnc", "--sequences 500"),),
        (Bound("% of bits wrong", "dnc", "wrong", at_most=0.1, every_seed=True),),
        minutes=6,
    ),
    Claim(
        "memory_reuse",
        GRAVES_2016,
        "A DNC of 10 slots frees and uses them again: it copies lists that need more slots than it has.",
        (Trained("dnc", "task reuse_dnc", "--sequences 200 --ablation"),),
        (Bound("% of bits wrong", "dnc", "wrong", at_most=1.0),),
        seeds=(0, 1),
        minutes=8,
    ),
    Claim(
        "traversal",
        GRAVES_2016,
        "A DNC trained on random graphs walks the London Underground: 98.8 % of routes without a mistake.",
        (
            Trained("dnc", "task traversal_dnc", "--task london_traversal --slots 256 --sequences 200"),
            Trained("lstm", "task traversal_lstm --steps 200000", "--sequences 200"),
        ),
        (
            Bound("% of routes right, DNC", "dnc", "score", at_least=98.8, paper=_paper("london_traversal", "dnc")),
            Bound("% right on random graphs, LSTM", "lstm", "score", at_most=50.0, paper="stuck in the first lesson"),
        ),
        seeds=(0,),
        minutes=240,
    ),
)
"""In the order of the papers."""
