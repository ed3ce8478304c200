"""Proof that the tests notice: defects planted one at a time in a copy of the tree, and mutants of the planner."""
