"""Starts run processes as forks of a process that has everything imported."""
