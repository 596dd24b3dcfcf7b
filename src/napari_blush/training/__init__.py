"""Trainings and fine-tunings in the viewer: watched by `view`, fine-tunings set up by `widget`."""
