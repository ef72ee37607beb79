"""Few-shot learning on Omniglot."""

from __future__ import annotations

from lukasa.launch.campaigns.claims.claim import Bound, Claim, Quick, Trained

SANTORO = "Santoro et al. 2016, Meta-Learning with Memory-Augmented Neural Networks"
FIVE_CLASSES = """--curriculum.lessons '[{"classes":5}]' --schedule linear"""


def _presentations(model: str, wanted: tuple[float, float, float]) -> tuple[Bound, ...]:
    said = ((2, 82.8), (5, 94.9), (10, 98.1))
    return tuple(
        Bound(
            f"% right at presentation {number}",
            model,
            f"presentations[presentation={number}].accuracy",
            at_least=least,
            paper=f"{paper}",
        )
        for (number, paper), least in zip(said, wanted, strict=True)
    )


CLAIMS = (
    Claim(
        "mann",
        SANTORO,
        "A memory-augmented network names a new character after one presentation: the paper's equations.",
        (
            Trained("lessons", "few-shot omniglot_mann --prefetch", "--sequences 200"),
            Trained("mann", f"few-shot omniglot_mann {FIVE_CLASSES}", "--sequences 1000", start_from="lessons"),
        ),
        _presentations("mann", (82.8, 94.9, 98.1)),
        seeds=(0, 1),
        minutes=240,
        needs_data=True,
    ),
    Claim(
        "mann_strength",
        SANTORO,
        "With words of its own and key strengths, the network names a new character after one presentation.",
        (
            Trained("lessons", "few-shot omniglot_mann_strength", "--sequences 200"),
            Trained(
                "mann",
                f"few-shot omniglot_mann_strength {FIVE_CLASSES} --steps 240000",
                "--sequences 1000",
                start_from="lessons",
            ),
        ),
        _presentations("mann", (82.8, 94.9, 98.1)),
        seeds=(0, 1),
        minutes=240,
        needs_data=True,
        note="Two changes to the paper's equations; see docs/deviations.md.",
    ),
    Claim(
        "prototypical",
        "Snell et al. 2017, Prototypical Networks for Few-shot Learning",
        "The mean of a class's embeddings names its other drawings, 5 and 20 ways.",
        (
            Trained(
                "prototypical",
                "few-shot omniglot_prototypical",
                "--ways 5,20 --shots 1,5 --episodes 300",
            ),
        ),
        tuple(
            Bound(
                f"% right, {ways} ways, {shots} shot{'s' * (shots > 1)}",
                "prototypical",
                f"rows[ways={ways},shots={shots}].accuracy",
                at_least=paper - 1.0,
                paper=f"{paper}",
            )
            for ways, shots, paper in ((5, 1, 98.8), (5, 5, 99.7), (20, 1, 96.0), (20, 5, 98.9))
        ),
        seeds=(0, 1),
        minutes=60,
        needs_data=True,
        quick=Quick(
            (
                Trained(
                    "prototypical", "few-shot omniglot_prototypical --steps 300", "--ways 5 --shots 1 --episodes 200"
                ),
            ),
            (Bound("% right, 5 ways, 1 shot", "prototypical", "rows[ways=5].accuracy", at_least=85.0, paper="98.8"),),
            minutes=3,
            says="300 episodes, 5 ways",
        ),
    ),
    Claim(
        "matching",
        "Vinyals et al. 2016, Matching Networks for One Shot Learning",
        "Attention over the support names a drawing among 20 characters that were never trained on.",
        (Trained("matching", "few-shot omniglot_matching", "--ways 5,20 --shots 1 --episodes 300"),),
        (
            Bound("% right, 5 ways, 1 shot", "matching", "rows[ways=5].accuracy", at_least=97.1, paper="98.1"),
            Bound("% right, 20 ways, 1 shot", "matching", "rows[ways=20].accuracy", at_least=92.8, paper="93.8"),
        ),
        seeds=(0, 1),
        minutes=120,
        needs_data=True,
    ),
    Claim(
        "maml",
        "Finn et al. 2017, Model-Agnostic Meta-Learning",
        "A few gradient steps on one drawing of each of 5 characters are enough.",
        (Trained("maml", "few-shot omniglot_maml", "--ways 5 --shots 1 --episodes 600"),),
        (Bound("% right, 5 ways, 1 shot", "maml", "rows[ways=5].accuracy", at_least=97.7, paper="98.7"),),
        seeds=(0, 1),
        minutes=120,
        needs_data=True,
    ),
    Claim(
        "snail",
        "Mishra et al. 2018, A Simple Neural Attentive Meta-Learner",
        "Temporal convolutions and attention name a drawing after one example of each of 5 characters.",
        (Trained("snail", "few-shot omniglot_snail", "--ways 5 --shots 1 --episodes 600"),),
        (Bound("% right, 5 ways, 1 shot", "snail", "rows[ways=5].accuracy", at_least=98.0, paper="99.07"),),
        seeds=(0,),
        minutes=120,
        needs_data=True,
    ),
)
"""By paper."""
