"""Stages over the native core: country, hourly tally."""
