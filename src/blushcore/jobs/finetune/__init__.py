"""Fine-tuning of weights on one pair of half-maps, as a job.

`parameters` says what can be chosen, `judging` decides whether it helped, `job` is the stream of events.
"""
