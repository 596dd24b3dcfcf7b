"""3D classification of particles into K classes, as a job.

`parameters` says what can be chosen, `loop` is the method, `maximisation` makes maps of sums, `reseeding` gives
empty classes a new start, `reports` says what events carry, `state` is what a checkpoint holds, `preflight`
looks before anything is begun. What a refinement does likewise is in `expectation_maximisation`.
"""
