"""Energy: events into joules under a technology, lower bounds, and what counters measured."""

from .bounds import Bounds, LearningInMemory, bounds, landauer
from .events import Events
from .ledger import Account, Figure, Technology, account, technologies, technology
from .meter import Measured, Meter

__all__ = [
    "Account",
    "Bounds",
    "Events",
    "Figure",
    "LearningInMemory",
    "Measured",
    "Meter",
    "Technology",
    "account",
    "bounds",
    "landauer",
    "technologies",
    "technology",
]
