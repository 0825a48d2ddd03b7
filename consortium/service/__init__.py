"""The story, one file per verb, in the order it happens."""
