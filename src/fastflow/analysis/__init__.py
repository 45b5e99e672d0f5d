"""Answers from the store: ranks and trends. Arrow in, rows out, no printing."""
