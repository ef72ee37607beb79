"""Cores whose memory is a matrix that a linear recurrence changes: one file for each."""
