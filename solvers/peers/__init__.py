"""Other people's solvers of Ising, QUBO and Max-Cut problems, as solvers like any other: one file each, beside what they share."""
