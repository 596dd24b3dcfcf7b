"""What the engine advises, in the words of the dock: options of the command line are controls here."""

from __future__ import annotations

import re

from napari_blush.refine.kinds import JobKind

_OPTION = re.compile(
    r"(?:\b(?P<verb>[Gg]ive|[Uu]se) )?--(?P<option>[a-z][a-z0-9-]*)(?P<value> [a-z]+\b)?",
)
_NO_CONTROL = (
    ("give the true size with --voxel-size if a header is wrong", "mend the header if it is wrong"),
    (" (on the command line with --voxel-size)", " in its header"),
    (", on the command line with --voxel-size", ", in its header"),
)


def in_the_dock(sentence: str, kind: JobKind) -> str:
    """Return a sentence with the names of the controls of a job in place of options.

    Options that have no control stay as they are.
    """
    for words, others in _NO_CONTROL:
        sentence = sentence.replace(words, others)

    def control(match: re.Match[str]) -> str:
        name, value = match["option"].replace("-", "_"), match["value"] or ""
        field = kind.model.model_fields.get(name)
        if field is None or name in kind.kept:
            return match[0]
        label = f"“{kind.label(name)}”"
        where = " (Expert)" if name in kind.expert else ""
        shown = next((words for words, one in kind.choices.get(name, ()) if one == value.strip()), None)
        value = value if shown is None else f": “{shown}”"
        verb = match["verb"]
        if verb is None:
            return f"{label}{where}{value}"
        if field.annotation is bool:
            verb = "Tick" if verb[0].isupper() else "tick"
        return f"{verb} {label}{where}{value}"

    return _OPTION.sub(control, sentence)
