"""A program compiled ahead of time for machines that are not there, and what it would cost."""
