"""``python -m blushcore.interactive --folder F``: the warm worker, speaking JSON lines on stdin and stdout."""

from __future__ import annotations

import argparse
import os
import queue
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from blushcore.devices import available_threads
from blushcore.interactive.messages import Event, Failed, GarbledError, Request, parse_request, to_line

_NICENESS = 5
"""Whoever looks on comes first: their viewer runs on the same processors."""
_GRACE_SECONDS = 5.0
"""How long the step in hand may go on once nobody listens."""


def main() -> int:
    """Serve until stdin ends or `Quit` comes."""
    parser = argparse.ArgumentParser(prog="python -m blushcore.interactive", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="for arrays; must exist")
    parser.add_argument(
        "--remove-folder", action="store_true", help="remove the folder and all in it at the end"
    )
    arguments = parser.parse_args()
    out = _take_stdout()
    threads = max(1, available_threads() - 1)
    _yield_to_others(threads)

    def leave() -> None:
        if arguments.remove_folder:
            shutil.rmtree(arguments.folder, ignore_errors=True)

    try:
        _serve(arguments.folder, out, threads, leave)
    except BrokenPipeError:  # nobody listens any more
        pass
    finally:
        leave()
    return 0


def _serve(folder: Path, out: BinaryIO, threads: int, leave: Callable[[], None]) -> None:
    lock = threading.Lock()

    def send(event: Event) -> None:
        with lock:
            out.write(to_line(event))
            out.flush()

    requests: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
    listener = threading.Thread(target=_listen, args=(requests, send, leave), name="requests", daemon=True)
    listener.start()
    import torch

    from blushcore.denoiser.fused import compile_kernels
    from blushcore.interactive.arrays import ArrayFolder
    from blushcore.interactive.server import Server

    torch.set_num_threads(threads)
    compile_kernels()  # while the user is still choosing
    Server(requests, send, ArrayFolder(folder)).run()


def _listen(
    requests: queue.SimpleQueue[Request | None], send: Callable[[Event], None], leave: Callable[[], None]
) -> None:
    for line in sys.stdin.buffer:
        if not line.strip():
            continue
        try:
            requests.put(parse_request(line))
        except GarbledError as error:
            send(Failed(request="?", id=None, problem=f"The worker was told what it does not know: {error}."))
    requests.put(None)
    # Whoever asked is gone. The loop ends after the step in hand; one that takes long is not waited for.
    time.sleep(_GRACE_SECONDS)
    leave()
    os._exit(0)


def _take_stdout() -> BinaryIO:
    """Return the real stdout; whatever else prints, in C too, goes to stderr from now on."""
    sys.stdout.flush()
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return out


def _yield_to_others(threads: int) -> None:
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    else:
        import psutil

        psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)


if __name__ == "__main__":
    sys.exit(main())
