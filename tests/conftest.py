"""Markers of the suite.

``NUMBA_DISABLE_JIT=1 python -m pytest -m nojit tests`` runs a subset that is small enough for the plain Python functions.
"""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "nojit: small enough to run with NUMBA_DISABLE_JIT=1")
