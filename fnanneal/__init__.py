"""fnanneal."""
