"""The store: a Delta Lake table of counts, sources and inputs."""

from fastflow.store.settings import Settings
from fastflow.store.store import Store

__all__ = ["Settings", "Store"]
