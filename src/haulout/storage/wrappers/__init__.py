"""Policy around a backend, one concern a module: each is a backend around a backend."""
