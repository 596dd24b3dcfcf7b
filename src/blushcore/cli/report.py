"""``blush report``: a run as one HTML file, to be read, printed and filed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from blushcore.cli.outputs import require_writable
from blushcore.protocol import UsageError
from blushcore.volumes import atomic_file

_ENDINGS = (".html", ".htm")


def report(
    run_dir: Path,
    /,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    mask: Path | None = None,
    truth: Path | None = None,
    title: str = "",
    note: str = "",
    overwrite: bool = False,
) -> None:
    """Write a report of a run: one HTML file that needs nothing else.

    It holds the resolution with its curves, slices before and after the prior, the views, what the denoiser
    did, the course of the iterations, every parameter, figure and warning. Of a run that has not ended, how
    it stands.

    Parameters
    ----------
    run_dir
        The run directory: what was given as -o when the run was started.
    output
        The report, a file whose name ends in .html.
    mask
        Soft mask on the maps' grid, 0 to 1, for the FSC of the final halves; by default the run's own, if any.
    truth
        Map that the images were simulated from, on the maps' grid: adds the FSC with it.
    title
        Heading, instead of the job and the folder's name.
    note
        A paragraph below the heading.
    overwrite
        Replace the report if it exists.
    """
    if output.suffix.lower() not in _ENDINGS:
        raise UsageError(f"A report's name ends in .html, and {output.name} does not.", "Give another name.")
    require_writable([output], overwrite=overwrite)
    from blushcore.reports import report_of

    page = report_of(run_dir, mask=mask, truth=truth, title=title, note=note)
    with atomic_file(output) as file:
        file.write(page.encode())
    print(f"Wrote {output}.", file=sys.stderr)
