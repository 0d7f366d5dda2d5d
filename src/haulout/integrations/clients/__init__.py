"""MCP clients' configuration files, as text: how our entry gets into them and out again.

`table` says which client keeps what where, `jsonc` and `toml` change one entry of a text and leave
every other byte alone, `change` puts these together. Nothing here reads or writes a file.
"""
