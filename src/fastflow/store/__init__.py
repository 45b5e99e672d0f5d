"""The store: a Delta Lake table of counts, sources and inputs."""
