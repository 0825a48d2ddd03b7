"""A custodian's own small server and database; imports no store and no service."""
