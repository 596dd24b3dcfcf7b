"""The documents point at what is there: links, commands, scripts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from blushcore.cli.app import COMMANDS

REPOSITORY = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md"), *REPOSITORY.glob("resources/**/*.md")]
)

LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")
COMMAND = re.compile(r"(?:^|`)blush ([a-z][a-z-]+)", re.MULTILINE)
SCRIPT = re.compile(r"\bscripts/([a-z_.]+[a-z])")


def named(document: Path) -> str:
    return document.relative_to(REPOSITORY).as_posix()


def test_the_documents_are_found() -> None:
    assert {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/index.md"} <= set(map(named, DOCUMENTS))


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_links_lead_somewhere(document: Path) -> None:
    links = LINK.findall(document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_commands_and_scripts_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert set(COMMAND.findall(text)) - COMMANDS.keys() == set()
    assert [name for name in SCRIPT.findall(text) if not (REPOSITORY / "scripts" / name).exists()] == []


def test_every_guide_is_in_the_index() -> None:
    index = (REPOSITORY / "docs" / "index.md").read_text(encoding="utf-8")
    guides = {path.name for path in (REPOSITORY / "docs").glob("*.md")} - {"index.md"}
    assert guides == set(LINK.findall(index))


def test_the_readme_names_the_two_commands() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert re.search(r"^scripts/demo\b", readme, re.MULTILINE)
    assert re.search(r"^scripts/test\b", readme, re.MULTILINE)
