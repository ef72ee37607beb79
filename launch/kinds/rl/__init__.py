"""Reinforcement learning on Gymnasium environments."""
