"""The dock widget *Refine*: what a refinement begins with, its start, and how it is steered."""
