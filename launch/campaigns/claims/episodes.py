"""Few-shot learning on Omniglot."""

from __future__ import annotations

from lukasa.launch.campaigns.claims.claim import Bound, Claim, Quick, Trained
from lukasa.launch.kinds.published import PRESENTATIONS, SHOTS

SANTORO = "Santoro et al. 2016, Meta-Learning with Memory-Augmented Neural Networks"
FIVE_CLASSES = """--curriculum.lessons '[{"classes":5}]' --schedule linear"""


PAPERS_MANN = PRESENTATIONS["omniglot_presentations"]["one-hot", 5]["paper's MANN"]


def _presentations(model: str) -> tuple[Bound, ...]:
    """What the paper's network has at the second, fifth and tenth presentation."""
    return tuple(
        Bound(
            f"% right at presentation {number}",
            model,
            f"presentations[presentation={number}].accuracy",
            at_least=PAPERS_MANN[number],
            paper=f"{PAPERS_MANN[number]:g}",
        )
        for number in (2, 5, 10)
    )


def _shots(learner: str, behind: float, *settings: tuple[int, int]) -> tuple[Bound, ...]:
    """Accuracies that are at most so far behind those of the learner's paper.

    Args:
        learner: as ``SHOTS`` names it, and the claim its model.
        behind: percent.
        settings: ways and shots.
    """
    (papers,) = SHOTS["omniglot"][learner].values()
    return tuple(
        Bound(
            f"% right, {ways} ways, {shots} shot{'s' * (shots > 1)}",
            learner,
            f"rows[ways={ways},shots={shots}].accuracy",
            at_least=round(papers[ways, shots] - behind, 2),
            paper=f"{papers[ways, shots]:g}",
        )
        for ways, shots in settings
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
        _presentations("mann"),
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
        _presentations("mann"),
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
        _shots("prototypical", 1.0, (5, 1), (5, 5), (20, 1), (20, 5)),
        seeds=(0, 1),
        minutes=60,
        needs_data=True,
        quick=Quick(
            minutes=3,
            says="300 episodes, 5 ways",
            models=(Trained("prototypical", "few-shot omniglot_prototypical --steps 300", "--ways 5 --episodes 200"),),
            bounds=_shots("prototypical", 13.8, (5, 1)),
        ),
    ),
    Claim(
        "matching",
        "Vinyals et al. 2016, Matching Networks for One Shot Learning",
        "Attention over the support names a drawing among 20 characters that were never trained on.",
        (Trained("matching", "few-shot omniglot_matching", "--ways 5,20 --shots 1 --episodes 300"),),
        _shots("matching", 1.0, (5, 1), (20, 1)),
        seeds=(0, 1),
        minutes=120,
        needs_data=True,
    ),
    Claim(
        "maml",
        "Finn et al. 2017, Model-Agnostic Meta-Learning",
        "A few gradient steps on one drawing of each of 5 characters are enough.",
        (Trained("maml", "few-shot omniglot_maml", "--ways 5 --shots 1 --episodes 600"),),
        _shots("maml", 1.0, (5, 1)),
        seeds=(0, 1),
        minutes=120,
        needs_data=True,
    ),
    Claim(
        "snail",
        "Mishra et al. 2018, A Simple Neural Attentive Meta-Learner",
        "Temporal convolutions and attention name a drawing after one example of each of 5 characters.",
        (Trained("snail", "few-shot omniglot_snail", "--ways 5 --shots 1 --episodes 600"),),
        _shots("snail", 1.07, (5, 1)),
        seeds=(0,),
        minutes=120,
        needs_data=True,
    ),
)
"""By paper."""
