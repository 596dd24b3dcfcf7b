"""Training of the denoiser, as a job.

`parameters` says what can be chosen, `sources` where half-maps come from, `session` is a training in progress,
`examples` keeps slices of what the network makes of a few blocks, `processes` shares steps between devices.
"""
