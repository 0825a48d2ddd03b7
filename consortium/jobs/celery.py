"""The application and its queues; one queue per key-holding process.

Celery is a doorbell: a task says "there is work", with ids at most. Losing or repeating one is
harmless, because the database knows what is due and a beat rings again.
"""

import os
from functools import cache
from pathlib import Path

from celery import Celery

from consortium.settings import Settings
from consortium.wiring import Process, settings_of

QUEUES = {
    "publish": "publishing",
    "refresh": "publishing",
    "match": "matching",
    "freeze": "matching",
    "shred": "matching",
    "broom": "matching",
    "intend": "matching",
    "mail": "mailing",
    "returns": "mailing",
    "rotate": "mailing",
}


@cache
def process() -> Process:
    """This process, wired from ``TRELLIS_HOME``."""
    return Process(settings_of(Path(os.environ["TRELLIS_HOME"])))


def make_app(settings: Settings) -> Celery:
    """A Celery application on the broker that the settings name; folders when they name none."""
    made = Celery("trellis", set_as_current=False)
    made.conf.update(
        broker_url=settings.broker or "filesystem://",
        broker_connection_retry_on_startup=True,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_routes={name: {"queue": queue} for name, queue in QUEUES.items()},
        task_create_missing_queues=True,
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=1,
    )
    if not settings.broker:
        folders = {name: settings.home.absolute() / "broker" / name for name in ("box", "control")}
        for folder in folders.values():
            folder.mkdir(parents=True, exist_ok=True)
        made.conf.broker_transport_options = {
            "data_folder_in": str(folders["box"]),
            "data_folder_out": str(folders["box"]),
            "control_folder": str(folders["control"]),
        }
    return made


app = make_app(settings_of(Path(os.environ.get("TRELLIS_HOME", "server"))))
