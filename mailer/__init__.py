"""From a sealed address to a delivered letter, and what comes back."""
