"""Haulout inside other people's programs: a module for each, imported on demand."""
