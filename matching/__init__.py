"""From a messy row to an unlinkable token, and from tokens to matches. Pure."""
