"""Surfaces that others speak to: MCP now, REST and the Walrus Memory wire later."""
