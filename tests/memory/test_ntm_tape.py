"""An NTM whose heads begin as those of a tape.

Legend: B batch, T time, R read heads, P write heads, N slots.
"""

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from lukasa import memory

SMALL: dict[str, Any] = {"input_size": 4, "output_size": 4, "slots": 12, "word_size": 8, "controller_size": 24}
EVERY_CONTROLLER = pytest.mark.parametrize("controller", ["feedforward", "lstm", "gru"])


def tape(**options: Any) -> Any:
    torch.manual_seed(0)
    return memory.make_core("ntm", **{**SMALL, "initial_motion": "tape", **options})


def weights_of(core: memory.Core, steps: int) -> dict[str, torch.Tensor]:
    with memory.record(core) as recording, torch.no_grad():
        memory.unroll(core, 3 * torch.randn(2, steps, 4, generator=torch.Generator().manual_seed(1)))
    return recording.stacked()


@EVERY_CONTROLLER
@pytest.mark.parametrize(("writers", "shifts"), [(1, 3), (3, 5)])
def test_write_heads_step_on_slot_by_slot_and_around(controller: str, writers: int, shifts: int):
    steps = 15  # more than there are slots
    write = weights_of(tape(controller=controller, write_heads=writers, shifts=shifts), steps)["write"]  # [B, T, P, N]
    for head in range(writers):
        expected = (head * 12 // writers + 1 + torch.arange(steps)) % 12
        assert torch.equal(write[:, :, head].argmax(-1), expected.expand(2, -1))
    assert write.amax(-1).min() > 0.8


@EVERY_CONTROLLER
def test_read_heads_keep_their_distance(controller: str):
    core = tape(controller=controller, read_heads=3)
    first = core.initial_state(2).read_weights
    read = weights_of(core, 6)["read"]
    for step in range(6):
        assert (read[:, step] - first.roll(step + 1, -1)).abs().max() < 0.05
    assert len({tuple(row.tolist()) for row in first[0]}) == 3  # heads that differ can learn different distances


def test_what_is_overwritten_is_erased():
    """Slot 2 is written at step 1 and, after a round of 12 slots, at step 13: of two pasts then little is left."""
    core = tape(controller="feedforward")
    inputs = torch.randn(2, 14, 4, generator=torch.Generator().manual_seed(1))
    inputs[1, [0, *range(2, 14)]] = inputs[0, [0, *range(2, 14)]]
    with memory.record(core) as recording, torch.no_grad():
        memory.unroll(core, inputs)
    slot = recording.stacked()["memory"][:, :, 2]  # [B, T, W]
    apart = (slot[0] - slot[1]).norm(dim=-1)
    assert apart[1] > 0.1
    assert apart[13] < 0.2 * apart[12]


@pytest.mark.parametrize(("motion", "learned"), [("tape", True), ("random", False)])
def test_recalling_five_steps_back_without_a_recurrent_controller_is_learned_soon(motion: str, learned: bool):
    core = tape(controller="feedforward", initial_motion=motion)
    optimizer = torch.optim.Adam(core.parameters(), 1e-2)
    generator = torch.Generator().manual_seed(0)
    loss = torch.tensor(0.0)
    for _ in range(50):
        symbols = torch.randint(4, (16, 20), generator=generator)
        outputs, _ = memory.unroll(core, F.one_hot(symbols, 4).float())
        loss = F.cross_entropy(outputs[:, 5:].flatten(0, 1), symbols[:, :-5].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert bool(loss < 0.3) is learned  # guessing: 1.39 nats


def test_heads_that_cannot_step_are_refused():
    with pytest.raises(ValueError, match="option 'shifts' of core 'ntm' is 1: expected at least 3"):
        tape(shifts=1)


def test_weightings_all_on_the_first_slot_step_on_too():
    write = weights_of(tape(initial_weights="first"), 4)["write"]
    assert write[0, :, 0].argmax(-1).tolist() == [1, 2, 3, 4]


def test_random_motion_is_as_it_was():
    torch.manual_seed(0)
    plain = memory.make_core("ntm", **SMALL)
    torch.manual_seed(0)
    named = memory.make_core("ntm", **SMALL, initial_motion="random")
    for one, other in zip(plain.parameters(), named.parameters(), strict=True):
        assert torch.equal(one, other)
