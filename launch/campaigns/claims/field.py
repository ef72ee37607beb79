"""Cores of the field."""

from __future__ import annotations

from lukasa.launch.campaigns.claims.claim import Bound, Claim, Quick, Trained

JOULIN = "Joulin & Mikolov 2015, Inferring algorithmic patterns with stack-augmented recurrent nets"

CLAIMS = (
    Claim(
        "stack_languages",
        JOULIN,
        "A network with a stack counts far beyond what it was trained on, its actions rounded.",
        (
            Trained(
                "stack",
                "task anbn_stack_rnn --steps 30000",
                "--split longer --sequences 200 --rounding eval --ablation",
            ),
        ),
        (Bound("% of longer sequences right", "stack", "score", at_least=99.0, paper="100"),),
        minutes=15,
    ),
    Claim(
        "nth_farthest",
        "Santoro et al. 2018, Relational recurrent neural networks",
        "Memories that attend to one another find the n-th farthest of 8 vectors; an LSTM and a DNC do not.",
        (
            Trained("rmc", "task nth_farthest_rmc"),
            Trained("lstm", "task nth_farthest_lstm"),
            Trained("dnc", "task nth_farthest_dnc"),
        ),
        (
            Bound("% right, RMC", "rmc", "score", at_least=91.0, paper="91"),
            Bound("% right, LSTM", "lstm", "score", at_most=30.0, paper="below 30"),
            Bound("% right, DNC", "dnc", "score", at_most=30.0, paper="below 30"),
        ),
        seeds=(0,),
        minutes=600,
    ),
    Claim(
        "compressed_past",
        "Rae et al. 2020, Compressive Transformers for long-range sequence modelling",
        "Compressed memories recall across a gap of four windows, where a Transformer with as much state does not.",
        (
            Trained("compressive", "task gap_compressive_transformer --steps 60000", "--ablation"),
            Trained("gtrxl", "task gap_gtrxl --steps 60000"),
        ),
        (Bound("% of bits wrong that it saves", "gtrxl", "wrong", at_least=20.0, minus=("compressive", "wrong")),),
        seeds=(0, 1),
        minutes=40,
    ),
    Claim(
        "zoology",
        "Arora et al. 2024, Zoology: Measuring and improving recall in efficient language models",
        "A gated delta rule recalls many pairs at once.",
        (Trained("gated_deltanet", "task mqar_gated_deltanet", "--ablation"),),
        (Bound("% right", "gated_deltanet", "score", at_least=99.0),),
        minutes=15,
        quick=Quick(minutes=5),
    ),
)
"""By paper."""
