"""Whether a page is well formed and needs no other file; its headings and texts."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "br", "path", "image", "circle", "ellipse"}


class Checker(HTMLParser):
    """Collects tags, texts and addresses; notes what is not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.unclosed: list[str] = []
        self.addresses: list[str] = []
        self.headings: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.addresses += [value for name, value in attrs if name in ("href", "src")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, _tag, attrs):
        self.addresses += [value for name, value in attrs if name in ("href", "src")]

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.unclosed.append(tag)

    def handle_data(self, data):
        self.texts.append(data)
        if self.open and self.open[-1] in ("h1", "h2"):
            self.headings.append(data)


def checked(page: str) -> Checker:
    checker = Checker()
    checker.feed(page)
    assert checker.unclosed == []
    assert checker.open == []
    assert all(address.startswith("data:image/png;base64,") for address in checker.addresses)
    assert "url(" not in page
    return checker
