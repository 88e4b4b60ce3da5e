"""Runs on the workers of Celery, on as many machines as there are: one run is one task.

`app` connects to the broker, `launcher` sends runs to it, and `task` is what a worker does with a run. The steps of a
run stay in one process.
"""
