"""Captures with a known content."""
