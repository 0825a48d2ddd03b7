"""A log no one can quietly rewrite. Knows bytes, not members."""
