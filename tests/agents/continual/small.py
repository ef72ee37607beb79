"""A small stream of random pictures, and methods on it."""

import torch

from lukasa.agents.continual import Setting, StreamSource, StreamTrainer, make_method, make_network
from lukasa.agents.learning import Trainer
from lukasa.tasks.continual import Stream, taught

TASKS, CLASSES, SIDE = 3, 3, 8


def pictures(examples=30, seed=0):
    """Three tasks of three classes each, a class being a picture with noise."""
    generator = torch.Generator().manual_seed(seed)
    kinds = torch.rand(TASKS * CLASSES, SIDE, SIDE, generator=torch.Generator().manual_seed(99))
    parts = []
    for task in range(TASKS):
        classes = task * CLASSES + torch.arange(examples) % CLASSES
        noise = torch.rand(examples, SIDE, SIDE, generator=generator)
        inputs = (255 * (0.6 * kinds[classes] + 0.4 * noise)).to(torch.uint8)
        parts.append(taught(inputs, classes[:, None], task, classes))
    return tuple(parts)


def stream():
    columns = tuple(task * CLASSES + torch.arange(CLASSES) for task in range(TASKS))
    names = tuple(f"task {task}" for task in range(TASKS))
    count = TASKS * CLASSES
    return Stream("pictures", names, pictures(), pictures(seed=1), columns, count, count, "noise")


def made(name, known=True, tasks=None, seed=0, **options):
    tasks = tasks or stream()
    torch.manual_seed(seed)

    def build(**layer):
        return make_network(tasks, "mlp", {"units": 12, "layers": 2}, task_known=known, **layer)

    return make_method(name, Setting(tasks, build, torch.Generator().manual_seed(seed)), **options)


def trainer(method, batches=20, batch_size=10, lr=0.01):
    source = StreamSource(method.stream, batch_size, batches, together=method.sees_all)
    optimizer = torch.optim.Adam(method.module.parameters(), lr)
    inner = Trainer(method, source, optimizer, torch.Generator().manual_seed(1), batch_size=batch_size)
    return StreamTrainer(inner)


def learned(method, **training):
    lessons = trainer(method, **training)
    for _ in range(lessons.source.batches * len(method.stream)):
        lessons.step()
    return lessons
