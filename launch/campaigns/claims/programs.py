"""Pointers, programs, circuits, tapes, and learning that lasts."""

from __future__ import annotations

from lukasa.launch.campaigns.claims.claim import Bound, Claim, Quick, Trained
from lukasa.launch.kinds.pointers.published import PUBLISHED

VINYALS = "Vinyals et al. 2015, Pointer Networks"
KURACH = "Kurach et al. 2016, Neural Random-Access Machines"
CAI = "Cai et al. 2017, Making Neural Programming Architectures Generalize via Recursion"


def _hull(points: int, minutes: float) -> Claim:
    paper, row = PUBLISHED["convex_hull", "pointer_network", "5-50"][points], f"rows[size={points}]"
    return Claim(
        f"hull_{points}",
        VINYALS,
        f"A Pointer Network finds the convex hull of {points} points.",
        (Trained("pointer", f"pointers hull_{points}", f"--sizes {points} --sets 5000"),),
        (
            Bound("% of hulls exact", "pointer", f"{row}.exact", at_least=paper["exact"], paper=f"{paper['exact']:g}"),
            Bound("% of the area", "pointer", f"{row}.parts.area", at_least=99.6, paper=f"{paper['area']:g}"),
        ),
        seeds=(0, 1),
        minutes=minutes,
    )


def _tour(points: int, minutes: float) -> Claim:
    return Claim(
        f"tour_{points}",
        VINYALS,
        f"A Pointer Network finds tours of {points} points within 2 % of the shortest.",
        (Trained("pointer", f"pointers tsp_{points}", f"--sizes {points} --sets 2000"),),
        (Bound("% longer than the shortest", "pointer", f"rows[size={points}].parts.gap", at_most=2.0),),
        seeds=(0, 1),
        minutes=minutes,
    )


def _circuit(task: str) -> Claim:
    return Claim(
        f"circuit_{task}",
        KURACH,
        f"A Neural RAM finds the circuit of {task}, which is exact on memories ten times as large.",
        (Trained("nram", f"circuits {task}_nram --steps 8000"),),
        (
            Bound("error %, length 8", "nram", "rows[length=8].error", at_most=0.0, paper="0"),
            Bound("error %, length 80", "nram", "rows[length=80].error", at_most=0.0),
            Bound("starts that are exact, of 16", "nram", "exact_starts.80", at_least=1.0),
        ),
        seeds=(0, 1),
        minutes=4,
        quick=Quick(minutes=1) if task == "copy" else None,
    )


CLAIMS = (
    _hull(5, 60),
    _hull(10, 90),
    _tour(5, 60),
    _tour(10, 120),
    Claim(
        "addition",
        CAI,
        "A recursive program learned from traces of at most 20 digits adds numbers of 3,000, and is verified.",
        (Trained("npi", "programs addition_recursive", "--lengths 20,100,3000 --samples 100"),),
        (
            Bound("% exact, 3,000 digits", "npi", "rows[length=3000].accuracy", at_least=100.0, paper="100"),
            Bound("cases that fail", "npi", "verified.addition.failed", at_most=0.0, paper="0"),
        ),
        seeds=(0, 1),
        minutes=4,
        quick=Quick(
            models=(Trained("npi", "programs addition_recursive", "--lengths 20,100 --samples 100"),),
            bounds=(
                Bound("% exact, 100 digits", "npi", "rows[length=100].accuracy", at_least=100.0, paper="100"),
                Bound("cases that fail", "npi", "verified.addition.failed", at_most=0.0, paper="0"),
            ),
            minutes=2,
            says="one seed, numbers of at most 100 digits",
        ),
    ),
    Claim(
        "sorting",
        CAI,
        "A recursive bubble sort learned from traces of at most 20 numbers sorts 60, and is verified.",
        (Trained("npi", "programs bubble_sort_recursive", "--lengths 20,60 --samples 100"),),
        (
            Bound("% exact, 60 numbers", "npi", "rows[length=60].accuracy", at_least=100.0, paper="100"),
            Bound("cases that fail", "npi", "verified.bubble_sort.failed", at_most=0.0, paper="0"),
        ),
        seeds=(0, 1),
        minutes=5,
    ),
    *(_circuit(task) for task in ("access", "increment", "copy", "reverse", "swap")),
    Claim(
        "tape_copy",
        "Zaremba & Sutskever 2015, Reinforcement Learning Neural Turing Machines",
        "Reinforce with a direct access controller learns to copy a tape, and copies one five times as long.",
        (
            Trained(
                "direct_access",
                "rl tape_copy_direct_access_reinforce",
                "--env-settings length 50 shortest 50 --episodes 50",
            ),
        ),
        (Bound("success rate, length 50", "direct_access", "success_rate", at_least=0.95),),
        seeds=(0, 1),
        minutes=20,
    ),
    Claim(
        "rehearsal",
        "Rolnick et al. 2019, Experience Replay for Continual Learning",
        "Rehearsal from an episodic memory keeps what fine-tuning forgets, on fifteen alphabets one after another.",
        tuple(
            Trained(method, f"continual omniglot_alphabets --method {method}")
            for method in ("fine_tuning", "rehearsal", "joint")
        ),
        (
            Bound(
                "accuracy % ahead of fine-tuning", "rehearsal", "score", at_least=10.0, minus=("fine_tuning", "score")
            ),
            Bound("accuracy % behind joint training", "joint", "score", at_most=15.0, minus=("rehearsal", "score")),
        ),
        minutes=30,
        needs_data=True,
    ),
)
"""By paper."""
