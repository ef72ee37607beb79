"""A sparse memory over several machines: rows and index in shards, each a Ray actor."""

from launch.ray.sharded.fleet import Recovery, ShardLostError
from launch.ray.sharded.memories import ShardedMemories
from launch.ray.sharded.sharding import Sharding
from launch.ray.sharded.store import ShardedStore

__all__ = ["Recovery", "ShardLostError", "ShardedMemories", "ShardedStore", "Sharding"]
