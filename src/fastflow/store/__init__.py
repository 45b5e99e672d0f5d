"""The store: a Delta Lake table of rows of captures, and their records."""

from fastflow.store.compact import Compaction
from fastflow.store.expire import Expiry
from fastflow.store.settings import Settings
from fastflow.store.shared import SharedReport, Sharing
from fastflow.store.store import Store

__all__ = ["Compaction", "Expiry", "Settings", "SharedReport", "Sharing", "Store"]
