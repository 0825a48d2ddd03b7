"""The service: the only package that touches database, network and clock."""
