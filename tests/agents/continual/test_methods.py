"""Methods that learn one task after another."""

import io

import pytest
import torch

from lukasa.agents.continual import METHODS, StreamAgent, make_network, scores_of
from tests.agents.continual.small import learned, made, stream, trainer

OPTIONS = {"ewc": {"examples": 10}, "sparse_update": {"slots": 64, "chosen": 4}, "rehearsal": {"slots": 45}}


@pytest.mark.parametrize("name", METHODS)
def test_a_method_learns_and_says_what_it_keeps(name):
    lessons = learned(made(name, **OPTIONS.get(name, {})))
    found = scores_of(lessons.matrix, lessons.before)
    assert found.average_accuracy > 50  # a guess has 33
    assert len(lessons.matrix) == 3
    assert (lessons.method.bytes > 0) == (name not in ("fine_tuning", "joint"))


@pytest.mark.parametrize("name", METHODS)
def test_a_method_goes_on_from_its_state_bit_for_bit(name):
    options = OPTIONS.get(name, {})
    whole, parts = (trainer(made(name, known=name == "progressive", **options), batches=6) for _ in range(2))
    for _ in range(9):
        whole.step()
    state = whole.state_dict()
    state = torch.load(_saved(state), weights_only=True)
    rest = [whole.step().loss for _ in range(9)]
    parts.load_state_dict(state)
    assert [parts.step().loss for _ in range(9)] == rest
    assert parts.matrix == whole.matrix


def _saved(state):
    content = io.BytesIO()
    torch.save(state, content)
    content.seek(0)
    return content


def test_a_column_never_changes_once_its_task_is_over():
    lessons = trainer(made("progressive"), batches=4)
    for _ in range(4):
        lessons.step()
    first = {name: one.clone() for name, one in lessons.method.network.parts[0].state_dict().items()}
    for _ in range(8):
        lessons.step()
    assert all(torch.equal(first[name], one) for name, one in lessons.method.network.parts[0].state_dict().items())
    assert lessons.matrix[2][0] == lessons.matrix[0][0]


def test_a_later_column_sees_the_earlier_ones():
    network = made("progressive").network
    some = stream().train[1].rows(0, 4)
    before = network(some.inputs, some.tasks)
    with torch.no_grad():
        network.parts[0].encoder.stages[0][0].weight.add_(1.0)
    assert not torch.equal(network(some.inputs, some.tasks), before)
    first = stream().train[0].rows(0, 4)
    after = network(first.inputs, first.tasks)
    with torch.no_grad():
        network.parts[1].encoder.stages[0][0].weight.add_(1.0)
    assert torch.equal(network(first.inputs, first.tasks), after)


def test_rehearsal_forgets_less_than_fine_tuning_where_tasks_are_not_known():
    plain, again = (
        scores_of(learned(made(name, known=False, **more), batches=80).matrix)
        for name, more in (("fine_tuning", {}), ("rehearsal", {"slots": 90}))
    )
    assert again.average_accuracy > plain.average_accuracy + 20
    assert again.forgetting < plain.forgetting


def test_distilled_rehearsal_keeps_so_many_of_each_class():
    method = learned(made("rehearsal", slots=90, keep="per_class", distil_to=2), batches=3).method
    assert torch.bincount(method.memory.everything().groups).tolist() == [2] * 9


def test_the_class_memory_holds_the_mean_of_each_class():
    method = learned(made("class_memory"), batches=5).method
    assert method.memory.used == 9
    some = stream().train[2]
    here = method._embed(some.inputs[some.groups == 8]).mean(0)
    assert torch.allclose(method._entries[8], here, atol=1e-5)
    every = learned(made("class_memory", per_class=0), batches=5).method
    assert every.memory.used == 90


def test_joint_training_sees_all_tasks_in_a_batch():
    lessons = trainer(made("joint"))
    lessons.step()
    assert len(lessons.source.current.tasks.unique()) > 1
    single = trainer(made("fine_tuning"))
    single.step()
    assert single.source.current.tasks.unique().tolist() == [0]


def test_heads_are_apart_where_tasks_share_answers():
    tasks = stream()
    shared = type(tasks)(**{**vars(tasks), "columns": (torch.arange(3),) * 3, "answers": 3})
    network = make_network(shared, "mlp", {"units": 4}, task_known=True)
    some = shared.train[1].rows(0, 3)
    wanted = network.wanted(some.answers - 3, some.tasks)
    scores = network.scores(some.inputs, some.tasks)
    assert wanted.flatten().tolist() == [3, 4, 5]
    assert torch.isfinite(scores[0, 0]).tolist() == [False] * 3 + [True] * 3 + [False] * 3
    assert torch.equal(network.named(wanted), some.answers - 3)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("progressive", {}, "need to know the task"),
        ("rehearsal", {"slots": 8, "keep": "per_class"}, "cannot hold an example of each of 9 classes"),
        ("rehearsal", {"distil_to": 1}, "take keep per_class"),
        ("distillation", {"temperature": 0.0}, "expected more than 0"),
        ("ewc", {"strength": -1.0}, "expected at least 0"),
        ("sparse_update", {"updated_slots": 9999}, "expected from 1 to 1024"),
        ("class_memory", {"per_class": -1}, "expected at least 0"),
        ("ewcc", {}, "did you mean 'ewc'"),
        ("ewc", {"strenght": 1.0}, "did you mean 'strength'"),
    ],
)
def test_what_cannot_be_is_one_sentence(name, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        made(name, known=False, **options)


def test_an_agent_answers_and_wants_to_know_the_task():
    lessons = learned(made("fine_tuning"))
    agent = StreamAgent(lessons.method, lessons.stream)
    some = stream().test[2]
    answers = agent.answer(some.inputs, "task 2")
    assert float((answers == some.answers).float().mean()) > 0.8
    with pytest.raises(ValueError, match="say which"):
        agent.answer(some.inputs)
    with pytest.raises(ValueError, match="there is no task 7"):
        agent.answer(some.inputs, 7)
    with pytest.raises(ValueError, match="expected"):
        agent.answer(some.inputs[:, :4], 0)
