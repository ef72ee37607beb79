"""Episodes read as sequences by every core.

Dimensions: B episodes, N classes, K support examples of each, M queries, D numbers of an example.
"""

from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from lukasa import memory
from lukasa.agents.few_shot.learning import EpisodeLearner, Posed, episode_trainer, evaluate_episodes
from lukasa.agents.few_shot.sequences import SequenceLearner
from lukasa.tasks.episodes import Episode, Shots
from lukasa.tasks.examples import Examples
from tests.agents.paying import PATH

SMALL: dict[str, dict[str, Any]] = {
    "ntm": {"slots": 5, "word_size": 3, "controller_size": 6},
    "dnc": {"slots": 5, "word_size": 3, "read_heads": 2, "controller_size": 6},
    "sam": {"slots": 5, "word_size": 3, "heads": 2, "reads": 2, "index": "exact", "controller_size": 6},
    "dam": {"slots": 5, "word_size": 3, "heads": 2, "controller_size": 6},
    "sdnc": {"slots": 5, "word_size": 3, "heads": 2, "reads": 2, "index": "exact", "controller_size": 6},
    "mann": {"slots": 5, "word_size": 3, "read_heads": 2, "controller_size": 6},
    "dntm": {"slots": 5, "word_size": 3, "address_size": 2, "read_steps": 2, "controller_size": 6},
    "rmc": {"slots": 3, "heads": 2, "head_size": 3},
    "stack_rnn": {"size": 6, "stacks": 2, "depth": 4},
    "list_rnn": {"size": 6, "lists": 2, "reach": 3},
    "act": {
        "core": "ntm",
        "core_options": {"slots": 5, "word_size": 3, "controller_size": 6},
        "size": 6,
        "max_steps": 3,
    },
    "workbench": {"slots": 5, "word_size": 3, "controller_size": 6},
    "snail": {"length": 8, "filters": 3, "key_size": 2, "value_size": 2},
    "ffm": {"size": 6, "trace_size": 3, "context_size": 2},
    "lmu": {"size": 6, "order": 4, "window": 8.0},
    "lru": {"size": 6, "states": 4},
    **{name: {"size": 6} for name in ("lstm", "gru", "mingru", "feedforward", "direct_access")},
    "compressive_transformer": {"length": 2, "compressed": 2, "rate": 2, "segment": 2, "size": 6, "mlp_size": 6},
    "neural_map": {"height": 3, "width": 3, "word_size": 4, "filters": 2},
    "mqn": {"length": 8, "size": 6},
    "rmqn": {"length": 8, "size": 6},
    "frmqn": {"length": 8, "size": 6},
    "gtrxl": {"length": 8, "size": 6, "heads": 2, "head_size": 3, "mlp_size": 6},
    "gated_deltanet": {"size": 6, "heads": 2, "key_size": 3, "value_size": 3},
    "mlstm": {"size": 6, "heads": 2, "key_size": 3, "value_size": 3},
    "shm": {"size": 6, "key_size": 3, "value_size": 3},
}


def learner_of(core: str) -> SequenceLearner:
    torch.manual_seed(0)
    options = {"encoder": "linear", "channels": 6, "embedding_size": 4, "core": core, "core_options": SMALL[core]}
    return SequenceLearner((5,), 3, **options).double().eval()


def episodes() -> tuple[Tensor, Tensor]:
    """Two episodes: two support examples of each of 3 classes, and four queries."""
    draw = Generator().manual_seed(1)
    return torch.randn(2, 3, 2, 5, generator=draw).double(), torch.randn(2, 4, 5, generator=draw).double()


@pytest.mark.parametrize("core", memory.CORES)
def test_each_query_is_asked_as_if_the_support_had_been_read_for_it_alone(core: str):
    """Answers and gradients: the memory that the queries share is as good as one of their own."""
    learner, (support, queries) = learner_of(core), episodes()
    order = torch.randperm(6, generator=Generator().manual_seed(0)).tolist()

    def step(example: Tensor, label: int | None) -> Tensor:
        shown = torch.zeros(3).double()
        if label is not None:
            shown[label] = 1
        return torch.cat([learner.embedding(learner.encoder(example[None]))[0], shown])

    rows = [
        torch.stack([*(step(support[b, place // 2, place % 2], place // 2) for place in order), step(query, None)])
        for b in range(2)
        for query in queries[b]
    ]
    expected = memory.unroll(learner.core, torch.stack(rows))[0][:, -1].view(2, 4, 3)
    found = learner(support, queries)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    wanted, got = (
        torch.autograd.grad(answers.square().sum(), list(learner.parameters()), materialize_grads=True)
        for answers in (expected, found)
    )
    torch.testing.assert_close(got, wanted, rtol=1e-9, atol=1e-12)


def test_order_of_the_support_is_drawn_in_training_and_fixed_in_evaluation():
    learner, (support, queries) = learner_of("lstm"), episodes()
    torch.testing.assert_close(learner(support, queries), learner(support, queries), rtol=0, atol=0)
    learner.train()
    answers = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        answers.append(learner(support, queries))
    assert torch.equal(answers[0], answers[1])
    assert not torch.allclose(answers[0], answers[2])
    same = learner(support[:1].expand(9, -1, -1, -1), queries[:1].expand(9, -1, -1))
    assert not torch.allclose(same[1:], same[:1]), "each episode of a batch has an order of its own"


def test_answer_changes_with_the_class_an_example_is_shown_in():
    learner, (support, queries) = learner_of("gru"), episodes()
    assert not torch.allclose(learner(support, queries), learner(support.roll(1, 1), queries))


def test_episodes_of_another_number_of_classes_are_refused():
    support, queries = episodes()
    with pytest.raises(ValueError, match=r"episodes have 2 classes and this learner labels 3: .* another with ways=2"):
        learner_of("lstm")(support[:, :2], queries)


def test_unknown_core_and_option_are_named():
    with pytest.raises(memory.UnknownNameError, match="unknown core 'snale': did you mean 'snail'"):
        SequenceLearner((5,), 3, encoder="linear", core="snale")
    with pytest.raises(memory.UnknownNameError, match=r"'lenght'.*'length'"):
        SequenceLearner((5,), 3, encoder="linear", core="snail", core_options={"lenght": 3})


@pytest.mark.parametrize(
    ("core", "options", "batches"),
    [("snail", {"length": 3, "filters": 16, "key_size": 8, "value_size": 8}, 80), ("lstm", {"size": 64}, 300)],
)
def test_learns_to_name_classes_it_has_seen_once(core: str, options: dict[str, Any], batches: int):
    """Points about centres, three centres an episode; the centres of the test were never trained on."""
    generator = Generator().manual_seed(0)
    clusters = torch.randn(400, 1, 4, generator=generator) + 0.2 * torch.randn(400, 6, 4, generator=generator)
    train, test = (
        Shots(examples=Examples(part, "clusters"), ways=3, shots=1, queries=2)
        for part in (clusters[:300], clusters[300:])
    )
    torch.manual_seed(0)
    learner = SequenceLearner((4,), 3, encoder="identity", embedding_size=16, core=core, core_options=options)
    before = evaluate_episodes(learner, test, 200, Generator().manual_seed(1))
    optimizer = torch.optim.Adam(learner.parameters(), 3e-3)
    trainer = episode_trainer(learner, train, optimizer, Generator().manual_seed(2), batch_size=32)
    for _ in range(batches):
        trainer.step()
    after = evaluate_episodes(learner, test, 200, Generator().manual_seed(1))

    assert before.score < 45
    assert after.score > 60


def test_costs_of_a_core_are_learned_beside_the_answers():
    """A mean over the six steps of the support and of the six queries, of two episodes."""
    torch.manual_seed(0)
    learner = SequenceLearner((5,), 3, encoder="linear", core=PATH)
    support = episodes()[0].float()
    seen: list[Tensor] = []
    learner.core.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0].square().sum(1)))
    learning = EpisodeLearner(learner)
    learning.learn(Posed(Episode(support, support, torch.zeros(2, 3, dtype=torch.int64)), 0))
    price = learner.core.get_parameter("price")
    assert price.grad is not None
    torch.testing.assert_close(price.grad, torch.cat(seen).mean().detach())


def test_core_that_chooses_is_refused():
    with pytest.raises(
        ValueError, match="chooses at random in training, which a learner of episodes cannot learn from"
    ):
        SequenceLearner((5,), 3, encoder="linear", core=PATH, core_options={"chooses": True})
