"""Memory Q-networks: the last observations as keys and values, read by a context (Oh et al. 2016, section 4).

They are named for the paper's agents, which are Q-networks; here they are cores like all others, and what is learned
from their outputs is the learner's business.

Legend: B batch, T time, M observations kept, P of them in use, D input width, S size of a context, key and value,
K output width.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lukasa.memory.attention.relative import softmax
from lukasa.memory.attention.window import WindowState, empty_window, in_pieces, is_finite, next_window, sight
from lukasa.memory.controllers import LSTMController, LSTMState
from lukasa.memory.core import Core, check_inputs, whole, whole_precision
from lukasa.memory.derivatives import needs_reference


class MQNState(NamedTuple):
    """The observations kept: the newest is last, the oldest is pushed out."""

    past: Tensor  # [B, M, D]; zero where there was none
    filled: Tensor  # bool [B, M], where there was one


class RMQNState(NamedTuple):
    """The observations kept, and the LSTM that makes the context."""

    past: Tensor  # [B, M, D]
    filled: Tensor  # bool [B, M]
    controller: LSTMState


class FRMQNState(NamedTuple):
    """The observations kept, what was read last, and the LSTM that makes the context."""

    past: Tensor  # [B, M, D]
    filled: Tensor  # bool [B, M]
    reads: Tensor  # [B, S], o of the step before
    controller: LSTMState


class PastObservations(nn.Module):
    """The memory: keys and values of the last observations, and soft attention to them (section 4.2).

    A key is sought, and a value read, by way of the observation it is made of: h · (W^key e) is (h W^key) · e. So
    observations alone are kept, and W^key and W^val learn from all of them.

    Args:
        input_size: D.
        size: S.
        length: M.
    """

    def __init__(self, input_size: int, size: int, length: int):
        super().__init__()
        self.length = length
        self.keys = nn.Linear(input_size, size, bias=False)
        self.values = nn.Linear(input_size, size, bias=False)

    def initial_state(self, batch_size: int) -> MQNState:
        """No past."""
        past, filled = empty_window(self.keys.weight, batch_size, 1, self.length, self.keys.in_features)
        return MQNState(past.squeeze(1), filled)

    def forward(
        self, inputs: Tensor, contexts: Tensor, past: Tensor, filled: Tensor, starts: Tensor | None = None
    ) -> tuple[Tensor, MQNState, Tensor]:
        """What each step reads of the M observations before it, and the window after the last step.

        Args:
            inputs: [B, T, D], e_t.
            contexts: [B, T, S], h_t.
            past: [B, M, D], before the first step.
            filled: bool [B, M].
            starts: bool [B, T], where an episode begins; nowhere when None.

        Returns:
            The reads o_t [B, T, S], zero where nothing came before; the window; and the weights p_t [B, T, P + T].
        """
        steps = inputs.shape[1]
        if steps > 1 and not needs_reference():
            # How much of the window is in use cannot be looked up while a call is transformed or traced.
            empty = self.length - int(filled.any(0).sum())
            past, filled = past[:, empty:], filled[:, empty:]
        seen = sight(filled, steps, self.length, starts)
        inputs = inputs.to(past.dtype)
        with whole_precision(inputs.device):
            held = whole(torch.cat([past, inputs], 1))
            sought = whole(contexts.to(past.dtype)) @ whole(self.keys.weight)  # [B, T, D]
            weights = attention(sought @ held.transpose(1, 2), seen.visible & (seen.distance > 0))
            reads = F.linear(weights @ held, whole(self.values.weight)).to(past.dtype)
        kept = next_window(WindowState(past.unsqueeze(1), filled), [inputs], seen.filled, self.length)
        return reads, MQNState(kept.past.squeeze(1), kept.filled), weights


def attention(scores: Tensor, visible: Tensor) -> Tensor:
    """Softmax of scores over what is visible, bool of the same shape; zeros where nothing is."""
    nothing = ~visible.any(-1, keepdim=True)
    # Of minus infinities alone a softmax is NaN, and so is its gradient.
    weights = softmax(torch.where(visible | nothing, scores, -math.inf))
    return torch.where(visible, weights, 0)


class Answer(nn.Module):
    """The output of a context and of what it found: W^q f(W^h h + o), f a ReLU of half the units (section 4.3)."""

    def __init__(self, size: int, output_size: int):
        super().__init__()
        self.of_context = nn.Linear(size, size)
        self.output = nn.Linear(size, output_size)

    def forward(self, contexts: Tensor, reads: Tensor) -> Tensor:
        """Contexts and reads [..., S] to outputs [..., K]."""
        hidden = self.of_context(contexts) + reads
        linear, rectified = hidden.tensor_split(2, -1)
        return self.output(torch.cat([linear, torch.relu(rectified)], -1))


class MQN(Core):
    """Memory Q-network: the context is a linear layer of what is observed now.

    Args:
        input_size: D.
        output_size: K.
        length: observations kept (M); a step reads those before it and not its own.
        size: width of the context, of keys and of values (S).
    """

    resets_inside = True

    def __init__(self, input_size: int, output_size: int, *, length: int = 32, size: int = 256):
        super().__init__()
        self.input_size, self.output_size = input_size, output_size
        self.context = nn.Linear(input_size, size)
        self.past = PastObservations(input_size, size, length)
        self.output = Answer(size, output_size)

    def initial_state(self, batch_size: int) -> MQNState:
        """No past."""
        return self.past.initial_state(batch_size)

    def forward(self, inputs: Tensor, state: MQNState) -> tuple[Tensor, MQNState]:
        """One step: inputs [B, D] to outputs [B, K]."""
        check_inputs(self, inputs, state=state)
        context = self.context(inputs)
        reads, state, weights = self.past(inputs.unsqueeze(1), context.unsqueeze(1), *state)
        if self.recorder is not None:
            self.recorder.append({"attention": weights})  # [B, 1, M + 1], this step last
        return self.output(context, reads.squeeze(1)), state

    def sequence(self, inputs: Tensor, state: MQNState, starts: Tensor | None = None) -> tuple[Tensor, MQNState]:
        """All steps at once: inputs [B, T, D] to outputs [B, T, K]; rows are reset where ``starts`` [B, T] are set."""
        if starts is None:
            return self._run(inputs, state)
        if not needs_reference():
            outputs, after = self._run(inputs, state, starts)
            if is_finite(outputs, after):
                return outputs, after
        return in_pieces(self._run, inputs, state, starts, self.initial_state(len(inputs)))

    def _run(self, inputs: Tensor, state: MQNState, starts: Tensor | None = None) -> tuple[Tensor, MQNState]:
        contexts = self.context(inputs)
        reads, state, _ = self.past(inputs, contexts, *state, starts)
        return self.output(contexts, reads), state


class RMQN(Core):
    """Recurrent memory Q-network: an LSTM makes the context of all that was observed.

    Args:
        input_size: D.
        output_size: K.
        length: observations kept (M); a step reads those before it and not its own.
        size: units of the LSTM, and width of keys and values (S).
    """

    resets_inside = True

    def __init__(self, input_size: int, output_size: int, *, length: int = 32, size: int = 256):
        super().__init__()
        self.input_size, self.output_size = input_size, output_size
        self.controller = LSTMController(input_size, size, 1)
        self.past = PastObservations(input_size, size, length)
        self.output = Answer(size, output_size)

    def initial_state(self, batch_size: int) -> RMQNState:
        """No past, and an LSTM of zeros."""
        past, filled = self.past.initial_state(batch_size)
        return RMQNState(past, filled, self.controller.initial_state(batch_size))

    def forward(self, inputs: Tensor, state: RMQNState) -> tuple[Tensor, RMQNState]:
        """One step: inputs [B, D] to outputs [B, K]."""
        check_inputs(self, inputs, state=state)
        context, controller = self.controller(inputs, state.controller)
        reads, window, weights = self.past(inputs.unsqueeze(1), context.unsqueeze(1), *state[:2])
        if self.recorder is not None:
            self.recorder.append({"attention": weights, "hidden": context})  # weights as those of an MQN
        return self.output(context, reads.squeeze(1)), RMQNState(window.past, window.filled, controller)

    def sequence(self, inputs: Tensor, state: RMQNState, starts: Tensor | None = None) -> tuple[Tensor, RMQNState]:
        """All steps at once: inputs [B, T, D] to outputs [B, T, K]; rows are reset where ``starts`` [B, T] are set."""
        if starts is None:
            return self._run(inputs, state)
        if not needs_reference():
            outputs, after = self._run(inputs, state, starts)
            if is_finite(outputs, after):
                return outputs, after
        return in_pieces(self._run, inputs, state, starts, self.initial_state(len(inputs)))

    def _run(self, inputs: Tensor, state: RMQNState, starts: Tensor | None = None) -> tuple[Tensor, RMQNState]:
        if starts is None:
            contexts, controller = self.controller.sequence(inputs, state.controller)
        else:
            fresh = self.controller.initial_state(len(inputs))
            contexts, controller = in_pieces(self.controller.sequence, inputs, state.controller, starts, fresh)
        reads, window, _ = self.past(inputs, contexts, *state[:2], starts)
        return self.output(contexts, reads), RMQNState(window.past, window.filled, controller)


class FRMQN(Core):
    """Feedback recurrent memory Q-network: what was read last goes into the LSTM that makes the next context.

    So it can look for something that depends on what it found, which takes it one step at a time.

    Args:
        input_size: D.
        output_size: K.
        length: observations kept (M); a step reads those before it and not its own.
        size: units of the LSTM, and width of keys and values (S).
    """

    def __init__(self, input_size: int, output_size: int, *, length: int = 32, size: int = 256):
        super().__init__()
        self.input_size, self.output_size = input_size, output_size
        self.controller = LSTMController(input_size + size, size, 1)
        self.past = PastObservations(input_size, size, length)
        self.output = Answer(size, output_size)

    def initial_state(self, batch_size: int) -> FRMQNState:
        """No past, nothing read, and an LSTM of zeros."""
        controller = self.controller.initial_state(batch_size)
        past, filled = self.past.initial_state(batch_size)
        return FRMQNState(past, filled, controller.hidden.flatten(1).clone(), controller)

    def forward(self, inputs: Tensor, state: FRMQNState) -> tuple[Tensor, FRMQNState]:
        """One step: inputs [B, D] to outputs [B, K]."""
        check_inputs(self, inputs, state=state)
        context, controller = self.controller(torch.cat([inputs, state.reads], 1), state.controller)
        reads, window, weights = self.past(inputs.unsqueeze(1), context.unsqueeze(1), *state[:2])
        reads = reads.squeeze(1)
        if self.recorder is not None:
            self.recorder.append({"attention": weights, "hidden": context})  # weights as those of an MQN
        return self.output(context, reads), FRMQNState(window.past, window.filled, reads, controller)
