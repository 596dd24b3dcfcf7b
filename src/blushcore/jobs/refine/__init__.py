"""3D auto-refinement of particles against a reference, as a job.

`parameters` says what can be chosen, `schedule` decides what each iteration does, `loop` is the method,
`outputs` writes RELION's files, `state` is what a checkpoint holds, `preflight` looks before
anything is begun.
"""
