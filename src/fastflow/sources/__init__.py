"""Where bytes come from: files, compressed streams, stdin. Knows bytes, not packets."""
