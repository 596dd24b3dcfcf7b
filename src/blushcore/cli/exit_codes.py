"""What the `blush` command answers to a shell."""

DONE = 0
"""The job is done."""

FAILED = 1
"""The job failed; the reason stands on stderr."""

USAGE = 2
"""The command was not understood."""

STOPPED = 130
"""The job was stopped before its end: by Ctrl-C, SIGTERM, or a command from a viewer."""
