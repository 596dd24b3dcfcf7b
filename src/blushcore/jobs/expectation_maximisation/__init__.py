"""What jobs by expectation-maximisation share: refinements, classifications, and what is to come of their kind.

`parameters` and `inputs` are what they begin with, `model` and `poses` what they learn, `work` compares images
and makes maps, `checkpoints` and the ``…_star`` modules keep what they know. A job's own package decides what
an iteration does, and holds the method.
"""
