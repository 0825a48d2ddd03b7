"""Celery tasks. Open a unit of work, call one service function, finish."""
