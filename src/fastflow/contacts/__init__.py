"""Whom to tell: sources, or victims, with their networks and contacts, as files."""
