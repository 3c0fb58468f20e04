"""Other people's solvers of quadratic programs: what each is told, what it says, and our judgement of it."""
