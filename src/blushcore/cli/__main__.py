"""``python -m blushcore.cli``: the `blush` command of this very interpreter, as detached workers call it."""

import sys

from blushcore.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
