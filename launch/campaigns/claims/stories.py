"""bAbI: readers of stored stories, and cores that read sentence by sentence."""

from __future__ import annotations

from lukasa.launch.campaigns.claims.claim import Bound, Claim, Quick, Trained
from lukasa.launch.kinds.questions.published import BABI

MISTAKES = "mean error of the twenty tasks, %"


def _paper(reader: str, size: str = "en", *, apart: bool = True) -> str:
    """The mean error that a paper reports, and whose it is."""
    found = BABI[reader, size, apart]
    return f"{found.mean:g} ({found.paper})"


CLAIMS = (
    Claim(
        "memn2n",
        "Sukhbaatar et al. 2015, End-To-End Memory Networks",
        "Three hops of attention over the sentences answer bAbI's questions from 1,000 examples of each task.",
        (Trained("memn2n", "questions babi_memn2n", "--ablation"),),
        (
            Bound(f"{MISTAKES}, 1k, each task by itself", "memn2n", "score", at_most=15.2, paper=_paper("memn2n")),
            Bound(
                "error that taking the story away adds, %",
                "memn2n",
                "ablation[without=story].score",
                at_least=30.0,
                minus=("memn2n", "score"),
            ),
        ),
        minutes=60,
        needs_data=True,
        quick=Quick(
            models=(Trained("memn2n", "questions babi_memn2n --tasks 1,15,20", "--ablation"),),
            bounds=(
                Bound("mean error of tasks 1, 15 and 20, %", "memn2n", "score", at_most=5.0),
                Bound(
                    "error that taking the story away adds, %",
                    "memn2n",
                    "ablation[without=story].score",
                    at_least=20.0,
                    minus=("memn2n", "score"),
                ),
            ),
            minutes=3,
            says="three of the twenty tasks",
        ),
    ),
    Claim(
        "memn2n_joint",
        "Sukhbaatar et al. 2015, End-To-End Memory Networks",
        "One network for all twenty tasks does better than one for each.",
        (Trained("memn2n", "questions babi_memn2n_joint"),),
        (Bound(f"{MISTAKES}, 1k, joint", "memn2n", "score", at_most=12.9, paper=_paper("memn2n", apart=False)),),
        minutes=90,
        needs_data=True,
    ),
    Claim(
        "memory_network",
        "Weston et al. 2015b, Towards AI-Complete Question Answering",
        "Taught which sentences support an answer, a memory network fails no task but those of positions and of paths.",
        (Trained("memnn", "questions babi_memnn_10k"),),
        (
            Bound(f"{MISTAKES}, 10k", "memnn", "score", at_most=3.2, paper=_paper("memory_network", "en-10k")),
            Bound("tasks with more than 5 % errors", "memnn", "failed", at_most=2.0, paper="2"),
        ),
        seeds=(0,),
        minutes=120,
        needs_data=True,
    ),
    Claim(
        "qrn",
        "Seo et al. 2017, Query-Reduction Networks",
        "A network that reduces the question sentence by sentence has under 10 % errors from 1,000 examples.",
        (Trained("qrn", "questions babi_qrn"),),
        (Bound(f"{MISTAKES}, 1k", "qrn", "score", at_most=9.9, paper=_paper("query_reduction")),),
        minutes=90,
        needs_data=True,
    ),
    Claim(
        "qrn_10k",
        "Seo et al. 2017, Query-Reduction Networks",
        "From 10,000 examples the network solves all tasks.",
        (Trained("qrn", "questions babi_qrn_10k"),),
        (Bound(f"{MISTAKES}, 10k", "qrn", "score", at_most=1.0, paper=_paper("query_reduction", "en-10k")),),
        seeds=(0,),
        minutes=600,
        needs_data=True,
    ),
    Claim(
        "entity_network",
        "Henaff et al. 2017, Tracking the World State with Recurrent Entity Networks",
        "Gated slots that follow the entities of a story solve bAbI from 10,000 examples.",
        (Trained("entnet", "questions babi_entnet_10k"),),
        (Bound(f"{MISTAKES}, 10k", "entnet", "score", at_most=1.0, paper=_paper("entity_network", "en-10k")),),
        seeds=(0,),
        minutes=600,
        needs_data=True,
    ),
    Claim(
        "babi_sentences",
        "Graves et al. 2016; Rae et al. 2016",
        "Cores that read a sentence a step answer all twenty tasks, and the best has under 10 % errors.",
        tuple(Trained(core, f"questions babi_sentences_{core}") for core in ("lstm", "ntm", "dnc", "sam", "sdnc")),
        (
            Bound(f"{MISTAKES}, DNC", "dnc", "score", at_most=16.7, paper=_paper("dnc", "en-10k", apart=False)),
            Bound(f"{MISTAKES}, SDNC", "sdnc", "score", at_most=10.0, paper=_paper("sdnc", "en-10k", apart=False)),
        ),
        seeds=(0,),
        minutes=600,
        needs_data=True,
    ),
)
"""By paper."""
