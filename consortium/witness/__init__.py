"""A witness's own small server: remembers one tree per log, and cosigns only what extends it."""
