"""Command lines, one file per kind of person; loaded lazily so that no tool carries another one."""
