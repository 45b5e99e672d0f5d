"""Answers from the store: ranks and trends. no printing."""
