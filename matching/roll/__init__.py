"""Voter files: one reader over dated layouts; a header nobody knows stops with its difference."""
