"""Statistics of comparisons: pure functions of records. Definitions and sources: docs/statistics.md.

Everything takes records of one kind under one budget (`by_budget`), except `references`, which had better see all.
"""

from __future__ import annotations

from .energy import EnergyToSolution, energies
from .gaps import Reference, gaps, median_gaps, median_objective, overall_gaps, reference, references, winners
from .groups import by_budget, by_problem, by_solver, ran
from .headline import Duel, Headline, headline
from .intervals import Interval, Quantiles, Share, jeffreys, median_interval, quantile, quantiles
from .paired import Pair, compare_pairs, holm
from .profiles import Profile, data_profiles, gap_profiles, median_times, performance_profiles
from .program_pairs import ProgramEnergy, ProgramPair, program_energies, program_pairs
from .programs import ProgramSummary, programs
from .summary import Summary, summarise
from .survival import Curve, Observations, kaplan_meier, mean_curve, observe
from .tts import Ratio, TimeToSolution, time_to_solution, tts_ratio

__all__ = [
    "Curve",
    "Duel",
    "EnergyToSolution",
    "Headline",
    "Interval",
    "Observations",
    "Pair",
    "Profile",
    "ProgramEnergy",
    "ProgramPair",
    "ProgramSummary",
    "Quantiles",
    "Ratio",
    "Reference",
    "Share",
    "Summary",
    "TimeToSolution",
    "by_budget",
    "by_problem",
    "by_solver",
    "compare_pairs",
    "data_profiles",
    "energies",
    "gap_profiles",
    "gaps",
    "headline",
    "holm",
    "jeffreys",
    "kaplan_meier",
    "mean_curve",
    "median_gaps",
    "median_interval",
    "median_objective",
    "median_times",
    "observe",
    "overall_gaps",
    "performance_profiles",
    "program_energies",
    "program_pairs",
    "programs",
    "quantile",
    "quantiles",
    "ran",
    "reference",
    "references",
    "summarise",
    "time_to_solution",
    "tts_ratio",
    "winners",
]
