"""Celery's app, made from the environment, so that the password of the broker is on no disk.

A task is acknowledged when it has ended, and delivered again if its worker is lost. A worker takes no more tasks than
it executes, and executes each in a new process.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from celery import Celery
from dagster_celery.config import TASK_EXECUTE_JOB_NAME

from etl_assets.graph.celery.task import LOAD_SHARE, execute_run, load_share
from etl_assets.settings import read_secret

DEFAULT_QUEUE: Final = "dagster"
"""Of the runs of sources that declare no queue."""
BROKER: Final = "ETL_ASSETS_CELERY_BROKER_URL"
RESULTS: Final = "ETL_ASSETS_CELERY_RESULTS_URL"
_HIGHEST_PRIORITY: Final = 10
_BROKER_HEARTBEAT: Final = 20
"""Seconds; RabbitMQ gives a silent worker up, and delivers its tasks again, after two of them."""
_CONFIGURATION: Final = {
    "broker_connection_retry_on_startup": True,
    "broker_heartbeat": _BROKER_HEARTBEAT,
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "task_default_queue": DEFAULT_QUEUE,
    "task_default_priority": _HIGHEST_PRIORITY // 2,
    "task_queue_max_priority": _HIGHEST_PRIORITY,
    "task_track_started": True,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "worker_max_tasks_per_child": 1,
    "worker_prefetch_multiplier": 1,
    "worker_send_task_events": False,
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
}


@cache
def celery_app() -> Celery:
    """Return the app of this process.

    Raises:
        SettingsError: If the URL of the broker or of the results is not set.
    """
    app = Celery("etl_assets", broker=read_secret(BROKER), backend=read_secret(RESULTS), set_as_current=False)
    app.conf.update(_CONFIGURATION)
    app.task(bind=True, name=TASK_EXECUTE_JOB_NAME)(execute_run)
    app.task(bind=True, name=LOAD_SHARE)(load_share)
    return app
