"""3D auto-refinement of particles against a reference, as a job.

`parameters` says what can be chosen, `schedule` decides what each iteration does, `loop` is the method,
`maximisation` makes maps of sums, `reports` says what events carry, `state` is what a checkpoint holds,
`preflight` looks before anything is begun. What a classification does likewise is in
`expectation_maximisation`.
"""
