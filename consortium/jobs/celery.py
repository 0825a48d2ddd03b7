"""The application and its queues; one queue per key-holding process.

Celery is a doorbell: a task says "there is work", with ids at most. Losing or repeating one is
harmless, because the database knows what is due and a beat rings again.
"""

import os
from functools import cache
from pathlib import Path

from celery import Celery

from consortium.jobs import folders
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
    "gauge": "matching",
    "mail": "mailing",
    "returns": "mailing",
    "rotate": "mailing",
    "vet": "mailing",
}


@cache
def process() -> Process:
    """This process, wired from ``TRELLIS_HOME``."""
    return Process(settings_of(Path(os.environ["TRELLIS_HOME"])))


def make_app(settings: Settings) -> Celery:
    """A Celery application on the broker that the settings name; folders when they name none."""
    made = Celery("trellis", set_as_current=False)
    made.conf.update(
        broker_url=settings.broker or folders.URL,
        broker_connection_retry_on_startup=True,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_routes={name: {"queue": queue} for name, queue in QUEUES.items()},
        task_create_missing_queues=True,
        worker_hijack_root_logger=False,
        worker_enable_remote_control=False,  # else whoever reaches the broker may end a worker
        worker_prefetch_multiplier=1,
    )
    if not settings.broker:
        broker = settings.home.absolute() / "broker"
        box, control = broker / "box", broker / "control"
        for folder in (box, control):
            folder.mkdir(parents=True, exist_ok=True)
        made.conf.broker_transport_options = {
            "data_folder_in": str(box),
            "data_folder_out": str(box),
            "control_folder": str(control),
        }
    return made


app = make_app(settings_of(Path(os.environ.get("TRELLIS_HOME", "server"))))
