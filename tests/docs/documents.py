"""The documents of this repository, and what stands in them."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "ringback"

_BLOCK = re.compile(r"^(?P<mark><!-- [^\n]+ -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(msgspec.Struct, frozen=True):
    """A fenced block."""

    page: Path
    line: int
    language: str
    mark: str
    """The comment in the line before it, without its arrows."""
    text: str

    def __str__(self) -> str:
        """Name the place, for the ids of tests."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Every Markdown page of the project."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def page(name: str) -> str:
    """The text of a page."""
    return (ROOT / name).read_text()


def blocks(language: str) -> list[Block]:
    """Every fenced block of a language, in all pages."""
    return [block for path in pages() for block in _blocks(path) if block.language == language]


def _blocks(path: Path) -> Iterator[Block]:
    text = path.read_text()
    for found in _BLOCK.finditer(text):
        mark = (found["mark"] or "").strip().removeprefix("<!-- ").removesuffix(" -->")
        yield Block(path, text.count("\n", 0, found.start()) + 1, found["language"], mark, found["text"])


def marked(mark: str) -> Block:
    """The one block that has this mark."""
    (block,) = (block for path in pages() for block in _blocks(path) if block.mark == mark)
    return block


def prose(path: Path) -> str:
    """A page without its fenced blocks."""
    return _BLOCK.sub("", path.read_text())


def sources() -> list[Path]:
    """Every Python file of Ringback."""
    return sorted(SOURCE.rglob("*.py"))
