"""A warm worker for somebody who looks on: it keeps networks and maps in memory and answers within a second.

``python -m blushcore.interactive --folder F`` reads requests from stdin, one JSON object a line, and writes
events to stdout likewise. Arrays are ``.npy`` files in the folder. See `messages` for all that is said.
"""
