import numpy as np
import pytest
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from lukasa.agents.rllib.sharding import WholeFragments, share_whole
from tests.agents.rllib.sampling import ppo


def fragments(*lengths):
    return [
        SingleAgentEpisode(observations=list(range(n + 1)), actions=[0] * n, rewards=[0.0] * n, len_lookback_buffer=0)
        for n in lengths
    ]


def test_fragments_are_handed_out_whole_and_evenly():
    given = fragments(10, 3, 7, 5, 2, 8)
    shards = share_whole(given, 2)
    assert {id(fragment) for shard in shards for fragment in shard} == {id(fragment) for fragment in given}
    assert [sum(map(len, shard)) for shard in shards] == [18, 17]


def test_every_learner_goes_through_as_many_minibatches_as_the_largest_shard_needs():
    shards = WholeFragments(episodes=fragments(20, 4)).shard(2, minibatch_size=5, num_epochs=3)
    assert [sum(map(len, data.episodes)) for data, _ in shards] == [20, 4]
    assert [arguments["num_total_minibatches"] for _, arguments in shards] == [12, 12]


def test_even_the_smallest_batch_makes_one_minibatch():
    shards = WholeFragments(episodes=fragments(2, 2)).shard(2, minibatch_size=5, num_epochs=1)
    assert [arguments["num_total_minibatches"] for _, arguments in shards] == [1, 1]


def test_more_learners_than_fragments_are_refused():
    with pytest.raises(ValueError, match="1 episode fragments cannot keep 2 learners busy"):
        share_whole(fragments(10), 2)


@pytest.mark.ray
@pytest.mark.slow
def test_two_learners_lose_no_keyframe_and_stay_equal(ray_cluster):
    # three copies for two learners: RLlib's own sharding would cut one fragment in two, and RebuildStateIn would raise
    config = ppo(fragment=24, copies=3, max_seq_len=9).learners(num_learners=2)
    config.training(train_batch_size_per_learner=36, num_epochs=2, minibatch_size=12)
    algorithm = config.build_algo()
    try:
        for _ in range(3):
            algorithm.train()
        results = algorithm.learner_group.foreach_learner(
            lambda learner: learner.module[DEFAULT_MODULE_ID].unwrapped().get_state()
        )
        first, second = (result.get() for result in results)
        assert set(first) == set(second)
        assert all(np.array_equal(first[name], second[name]) for name in first)
    finally:
        algorithm.stop()
