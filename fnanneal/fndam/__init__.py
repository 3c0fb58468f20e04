"""Fowler-Nordheim dynamic analog memory: the device, the differential cell, annealing timers and arrays of weights."""

from .array import FNDAMArray, ProgrammedArray, ProgramReport
from .cell import DifferentialCell, retention
from .device import Device, devices, load_device
from .timer import FNTimer, Realisation, TimerFit, fit_timer
from .tunneling import Mismatch, Nodes

__all__ = [
    "Device",
    "DifferentialCell",
    "FNDAMArray",
    "FNTimer",
    "Mismatch",
    "Nodes",
    "ProgramReport",
    "ProgrammedArray",
    "Realisation",
    "TimerFit",
    "devices",
    "fit_timer",
    "load_device",
    "retention",
]
