"""A replica: a vault's newest head, kept where an agent is, and never written to by it."""
