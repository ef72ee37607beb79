"""Recipes of `lukasa train few-shot`: those named ``..._paper`` have the paper's settings, the others learn faster.

Those that show characters one after another, such as ``omniglot_mann``, are tasks: see
``lukasa.launch.kinds.supervised.recipes``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lukasa.launch.kinds.few_shot.experiment import SHARED, FewShotExperiment
from lukasa.launch.kinds.kind import Experiments, Group
from lukasa.launch.kinds.supervised.experiment import TaskExperiment
from lukasa.launch.kinds.supervised.recipes import TASK_RECIPES
from lukasa.launch.options.typed import option_classes

FAST = FewShotExperiment(ways=20, shots=1, queries=5, schedule="cosine", final_lr=0.01, steps=5_000)
"""20 ways, so that an episode is long enough for Adam at its usual rate, and a decay to end on."""


def omniglot_prototypical() -> FewShotExperiment:
    """A Prototypical Network learns to name characters that it has seen once."""
    return FAST


def omniglot_prototypical_paper() -> FewShotExperiment:
    """Snell et al. 2017, section 3.1: 60 ways, 1 shot, 5 queries; Adam at 1e-3, halved every 2,000 episodes."""
    # They stop by validation loss, and print no number of episodes: after these the rate has come down a thousandfold.
    halving = FewShotExperiment(ways=60, shots=1, queries=5, test_ways=20, schedule="halving", steps=20_000)
    return replace(halving, learner="prototypical", batch_size=1, lr=1e-3, halve_every=2000)


def omniglot_prototypical_5shot() -> FewShotExperiment:
    """A Prototypical Network learns to name characters that it has seen five times."""
    return replace(omniglot_prototypical(), shots=5)


def omniglot_prototypical_5shot_paper() -> FewShotExperiment:
    """Snell et al. 2017, section 3.1: as with 1 shot, with as many in training as in the test."""
    return replace(omniglot_prototypical_paper(), shots=5)


def omniglot_matching() -> FewShotExperiment:
    """A Matching Network (Vinyals et al. 2016, section 4.1.1) learns to name characters that it has seen once.

    The paper prints no optimizer, learning rate or number of episodes. Its cosines cannot tell 20 classes apart by a
    plain softmax, so they are scaled here.
    """
    return replace(FAST, learner="matching", options={"scale": 10.0})


def omniglot_matching_paper() -> FewShotExperiment:
    """A Matching Network with cosines as they are, trained on the 20 ways and 1 shot that it is tested on."""
    return replace(FAST, learner="matching")


def omniglot_maml() -> FewShotExperiment:
    """A network that one step of gradient descent adapts to 5 characters seen once (MAML, second order)."""
    return replace(omniglot_maml_paper(), batch_size=8, schedule="cosine", final_lr=0.01, steps=24_000)


def omniglot_maml_paper() -> FewShotExperiment:
    """Finn et al. 2017, appendix A.1: 5 ways, one inner step at 0.4, 32 episodes a batch, 60,000 batches."""
    maml = FewShotExperiment(learner="maml", options={"inner_steps": 1, "inner_lr": 0.4}, ways=5, shots=1, queries=1)
    return replace(maml, batch_size=32, lr=1e-3, steps=32 * 60_000, report_every=3200)


def omniglot_maml_first_order() -> FewShotExperiment:
    """As `omniglot_maml`, without second derivatives (Finn et al. 2017, section 5.2)."""
    maml = omniglot_maml()
    return replace(maml, options={**maml.options, "first_order": True})


def omniglot_maml_first_order_paper() -> FewShotExperiment:
    """As `omniglot_maml_paper`, without second derivatives."""
    maml = omniglot_maml_paper()
    return replace(maml, options={**maml.options, "first_order": True})


def omniglot_snail() -> FewShotExperiment:
    """SNAIL (Mishra et al. 2018, section 5.1) reads 5 characters with their names, then one to be named."""
    # Its past: 5 ways of up to 5 shots, for the test.
    options = {"core": "snail", "core_options": {"length": 25}}
    return replace(FAST, learner="sequence", options=options, ways=5, batch_size=16, steps=40_000)


FEW_SHOT_RECIPES: dict[str, Callable[[], FewShotExperiment]] = {
    recipe.__name__: recipe
    for recipe in (
        omniglot_prototypical,
        omniglot_prototypical_paper,
        omniglot_prototypical_5shot,
        omniglot_prototypical_5shot_paper,
        omniglot_matching,
        omniglot_matching_paper,
        omniglot_maml,
        omniglot_maml_paper,
        omniglot_maml_first_order,
        omniglot_maml_first_order_paper,
        omniglot_snail,
    )
}
"""The recipes of `lukasa train few-shot` whose episodes are support and queries, by name."""

SEQUENCE_RECIPES: dict[str, Callable[[], TaskExperiment]] = {
    name: recipe for name, recipe in TASK_RECIPES.items() if name.startswith("omniglot_")
}
"""Those whose episodes are sequences: `lukasa train few-shot` takes them too, and writes runs of kind task."""

FEW_SHOT = Experiments(
    name="few-shot",
    experiment=FewShotExperiment,
    recipes=FEW_SHOT_RECIPES,
    elsewhere=dict.fromkeys(SEQUENCE_RECIPES, "task"),
    step_key="episodes",
    counted="episodes",
    questions=(("learner", "learner", "learners", "prototypical"),),
    shown=("learner", "ways", "shots", "steps"),
    may_change=("device",),
    groups={
        "options": Group("learner", option_classes("learners")),
        "dataset": Group("data", option_classes("datasets", elsewhere=SHARED)),
    },
    least={"ways": 2, "shots": 1, "queries": 1, "test_ways": 2, "test_shots": 1},
    sections={
        "What to train": ("learner", "start_from", "steps"),
        "Episodes": ("ways", "shots", "queries", "test_ways", "test_shots"),
        "Data": ("data", "dataset", "part", "size", "turns", "augment", "source", "data_dir"),
        "The learner": ("options",),
        "Running": ("device", "prefetch", "report_every", "validate_every"),
    },
    examples=(
        ("lukasa train few-shot omniglot_prototypical", "a recipe; lukasa list recipes names them all"),
        ("lukasa train few-shot omniglot_prototypical --shots 5 --seed 1", "a recipe with changes"),
        ("lukasa train few-shot --learner matching --ways 20 --steps 5000", "any learner, any episodes"),
        ("lukasa train few-shot --data folder --dataset.root my_images", "your own images, a folder for each class"),
        ("lukasa train few-shot --learner maml --help", "the options of another learner"),
    ),
)
"""Few-shot episodes of support and queries, as the command line sees them."""
