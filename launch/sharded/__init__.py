"""A sparse memory over several machines: rows and index in shards, each a Ray actor."""

from launch.sharded.fleet import Recovery, ShardLostError
from launch.sharded.memories import ShardedMemories
from launch.sharded.sharding import Sharding
from launch.sharded.store import ShardedStore

__all__ = ["Recovery", "ShardLostError", "ShardedMemories", "ShardedStore", "Sharding"]
