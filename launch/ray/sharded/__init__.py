"""A sparse memory over several machines: rows and index in shards, each a Ray actor."""

from lukasa.launch.ray.sharded.fleet import Recovery, ShardLostError
from lukasa.launch.ray.sharded.memories import ShardedMemories
from lukasa.launch.ray.sharded.sharding import Sharding
from lukasa.launch.ray.sharded.store import ShardedStore

__all__ = ["Recovery", "ShardLostError", "ShardedMemories", "ShardedStore", "Sharding"]
