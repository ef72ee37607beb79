"""The actors that hold the shards: told of changes, asked questions, saved, and brought back when one is lost.

Every change goes into its shard's log, of which the part not yet sent travels with the next question: one message a
shard and step. A save empties the logs. A lost shard begins again from its saved state and is sent its whole log.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayTaskError
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from lukasa.ground.mistakes import UserError
from lukasa.launch.ray.sharded.routing import Change, Grow, Question
from lukasa.launch.ray.sharded.shard import Shard
from lukasa.launch.ray.sharded.sharding import Sharding
from lukasa.memory.sparse.layout import Layout

SENT_AT_ONCE = 1 << 23  # bytes of changes that wait for a question at most
LOGGER = logging.getLogger(__name__)


class ShardLostError(RuntimeError):
    """A shard was lost and cannot be brought back."""


@dataclass(frozen=True)
class Recovery:
    """A shard that was lost and brought back.

    Attributes:
        shard: which.
        seconds: from noticing to its answer.
        replayed: changes of its log that were made again.
    """

    shard: int
    seconds: float
    replayed: int


class Fleet:
    """The shards of one memory; they are started when first needed.

    Args:
        sharding: how many and where.
        layout: of each shard.

    Attributes:
        pids: the process of each shard.
        messages: how many were sent.
        recoveries: shards that were lost and brought back.
    """

    def __init__(self, sharding: Sharding, layout: Layout):
        self.sharding, self.layout = sharding, layout
        self.saved: Path | None = None  # the folder that holds the state at which the logs begin; None: empty
        self.log: list[list[Change]] = [[] for _ in range(sharding.shards)]
        self.sent = [0] * sharding.shards
        self.logged = self.unsent = 0  # bytes
        self.pids: list[int] = []
        self.messages = 0
        self.recoveries: list[Recovery] = []
        self._actors: list[Any] = []
        self._group: PlacementGroup | None = None

    @property
    def running(self) -> bool:
        """Whether the actors were started."""
        return bool(self._actors)

    def tell(self, changes: Mapping[int, Change]) -> None:
        """Have some shards changed, each by its own change, before they answer anything else."""
        for shard, change in changes.items():
            self.log[shard].append(change)
            self.logged += change.nbytes
            self.unsent += change.nbytes
        if self.unsent > SENT_AT_ONCE:
            self.ask({})

    def ask(self, questions: Mapping[int, Question]) -> list[Any]:
        """Send every shard what it was not yet told, and some a question.

        Returns:
            For each of the shards its answer, None where it was asked nothing.

        Raises:
            ShardLostError: a shard was lost and cannot be brought back.
        """
        self.start()
        sent: dict[int, Any] = {}
        for shard, log in enumerate(self.log):
            if shard in questions or self.sent[shard] < len(log):
                message = log[self.sent[shard] :], questions.get(shard)
                sent[shard] = self._actors[shard].serve.remote(*message)
                self.sent[shard] = len(log)
        self.unsent = 0
        self.messages += len(sent)
        answers: list[Any] = [None] * len(self.log)
        try:
            for shard, answer in zip(sent, ray.get(list(sent.values())), strict=True):
                answers[shard] = answer
        except RayActorError:
            for shard, reference in sent.items():
                answers[shard] = self._answer(shard, reference, questions.get(shard))
        return answers

    def save(self, folder: Path) -> None:
        """Have every shard save its state to a folder, all at once.

        Raises:
            UserError: a shard cannot write there.
            ShardLostError: a shard was lost and cannot be brought back.
        """
        self.ask({})
        paths = [saved_shard(folder, shard) for shard in range(len(self.log))]
        references = [actor.save.remote(path) for actor, path in zip(self._actors, paths, strict=True)]
        for shard, (reference, path) in enumerate(zip(references, paths, strict=True)):
            try:
                try:
                    ray.get(reference)
                except RayActorError:
                    self._recover(shard, None)
                    ray.get(self._actors[shard].save.remote(path))
            except RayTaskError as error:
                raise UserError(
                    f"shard {shard} cannot save its state to {path}: {error.cause}: make room there, or choose a "
                    "folder that every machine of the cluster can write to"
                ) from None

    def begin_log(self, saved: Path | None) -> None:
        """What was told so far need not be replayed: it is in a folder."""
        self.saved = saved
        self.log = [[] for _ in self.log]
        self.sent = [0] * len(self.log)
        self.logged = self.unsent = 0

    def serve_another(self, layout: Layout, saved: Path | None) -> None:
        """Forget everything, and serve a memory of perhaps other sizes, empty or saved.

        Raises:
            ShardLostError: a saved state cannot be read.
            ValueError: a machine has too little memory.
        """
        self.layout, self.recoveries = layout, []
        self.begin_log(saved)
        if self._actors:
            try:
                self._open()
            except RayActorError:  # lost while nobody used it
                self.close()

    def grow(self, layout: Layout) -> None:
        """Have more slots."""
        self.layout = layout
        self.tell(dict.fromkeys(range(len(self.log)), Grow(layout.slots)))

    def start(self) -> None:
        """Start the actors, unless they run.

        Raises:
            ShardLostError: there is no room, or a saved state cannot be read.
            ValueError: a machine has too little memory.
        """
        if self._actors:
            return
        bundles = [{"CPU": self.sharding.cpus}] * len(self.log)
        self._group = placement_group(bundles, strategy=self.sharding.placement)
        self._actors = [self._actor(shard) for shard in range(len(self.log))]
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the actors."""
        actors, self._actors, self.pids = self._actors, [], []
        group, self._group = self._group, None
        if not ray.is_initialized():
            return
        for actor in actors:
            ray.kill(actor)
        if group is not None:
            remove_placement_group(group)

    def _actor(self, shard: int) -> Any:
        assert self._group is not None
        strategy = PlacementGroupSchedulingStrategy(self._group, placement_group_bundle_index=shard)
        remote: Any = ray.remote(Shard)
        return remote.options(
            num_cpus=self.sharding.cpus,
            scheduling_strategy=strategy,
            max_restarts=0,
            runtime_env={"env_vars": {"OMP_NUM_THREADS": "1"}},
        ).remote()

    def _open(self) -> None:
        opened = [actor.open.remote(*self._beginning(shard)) for shard, actor in enumerate(self._actors)]
        self.pids = [self._opened(shard, reference) for shard, reference in enumerate(opened)]

    def _beginning(self, shard: int) -> tuple[Layout, Path | None]:
        return self.layout, None if self.saved is None else saved_shard(self.saved, shard)

    def _opened(self, shard: int, reference: Any) -> int:
        which = f"shard {shard} of {len(self.log)}"
        try:
            return ray.get(reference, timeout=self.sharding.patience)
        except GetTimeoutError:
            raise ShardLostError(
                f"{which} did not start within {self.sharding.patience:g} s, no machine may have "
                f"{self.sharding.cpus:g} free CPUs: add one or free one, then load the memory from its folder"
            ) from None
        except RayTaskError as error:
            if self.saved is None:
                raise error.cause from None
            raise ShardLostError(
                f"{which} cannot be brought back, its saved state cannot be read: {error.cause}; "
                "load the memory from another save"
            ) from None

    def _answer(self, shard: int, reference: Any, question: Question | None) -> Any:
        try:
            return ray.get(reference)
        except RayActorError:
            return self._recover(shard, question)

    def _recover(self, shard: int, question: Question | None) -> Any:
        """Start a lost shard anew from its saved state and its log, and ask it again."""
        begun, log = time.perf_counter(), self.log[shard]
        which = f"shard {shard} of {len(self.log)}"
        LOGGER.warning("%s was lost: starting it again from %s and %d changes", which, self.saved or "empty", len(log))
        with contextlib.suppress(RayActorError):
            ray.kill(self._actors[shard])  # one that cannot be reached may live on
        while True:
            self._actors[shard] = self._actor(shard)
            try:
                self.pids[shard] = self._opened(shard, self._actors[shard].open.remote(*self._beginning(shard)))
                answer = ray.get(self._actors[shard].serve.remote(log, question))
                break
            except RayActorError as error:
                if time.perf_counter() - begun > self.sharding.patience:
                    reason = str(error).strip().splitlines()[0]
                    raise ShardLostError(
                        f"{which} was lost again each time it was brought back ({reason}): load the memory from its "
                        "folder, with more machines or fewer slots"
                    ) from None
                time.sleep(1)  # it was sent to a lost machine, of which the cluster is not yet aware
        self.recoveries.append(Recovery(shard, time.perf_counter() - begun, len(log)))
        LOGGER.warning("%s is back after %.1f s; nothing was lost", which, self.recoveries[-1].seconds)
        return answer


def saved_shard(folder: Path, shard: int) -> Path:
    """Where a shard saves its state."""
    return folder / f"shard-{shard}.memory"
