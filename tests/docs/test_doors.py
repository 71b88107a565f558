"""The source tree's doors: sizes, imports, names, the vendor's name, lock files. See CONTRIBUTING.md."""

import ast
import re
import tokenize
from pathlib import Path

import pytest

from tests.docs.documents import ROOT, SOURCE, sources

MOST_LINES = 600
MOST_FUNCTION_LINES = 70

LONG_FUNCTIONS = {
    ("store/migrations/versions/0001_initial.py", "upgrade"): "a list of tables, frozen once released",
    ("store/migrations/versions/0002_media_and_inbound.py", "upgrade"): "a list of tables, frozen once released",
}

VENDOR_PACKAGES = ("dialect/", "web/api/", "cli/", "receiver/sources/", "carriers/plivo/")

VENDOR_IN_CODE = {
    "wiring/connectors.py": "a kind of carrier is called by whose it is",
    "model/routes.py": "as above",
    "settings.py": "as above",
    "model/retry.py": "the plan of the contract, by the name of whose it is",
    "receiver/reader.py": "reads requests of a source that is not configured any more",
    "receiver/source.py": "the providers by name",
}

VENDOR_IN_PROSE = {
    "carriers/port.py": "error codes of outcomes are the wire's own, and the port has to say whose they are",
    "messaging/lane.py": "says what code 90 is",
    "messaging/submitted.py": "says what code 420 is",
    "settings.py": "says whose account is upstream",
    "model/ids.py": "says what others call the id",
    "model/numbers.py": "says whose way of masking this is",
    "model/retry.py": "says what the constant is",
    "wiring/chance.py": "says whose shape of nonce this is",
}


def name(path: Path) -> str:
    """The path inside the package."""
    return path.relative_to(SOURCE).as_posix()


@pytest.mark.parametrize("path", sources(), ids=name)
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MOST_LINES


def test_functions_are_short() -> None:
    long = {
        (name(path), node.name)
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno + 1 > MOST_FUNCTION_LINES
    }
    assert long == set(LONG_FUNCTIONS)


@pytest.mark.parametrize("path", sources(), ids=name)
def test_imports_stand_at_the_top(path: Path) -> None:
    tree = ast.parse(path.read_text())
    inside = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [node.lineno for node in inside if node not in tree.body] == []


def test_packages_have_no_code_of_their_own() -> None:
    for path in SOURCE.rglob("__init__.py"):
        text = path.read_text()
        if path.parent == SOURCE:
            assert re.fullmatch(r'__version__ = "\d+\.\d+\.\d+[\w.]*"\n', text)
        else:
            assert text == "", name(path)


def test_no_module_is_a_drawer_for_everything() -> None:
    drawers = {"util", "utils", "helper", "helpers", "common", "misc"}
    modules = [*sources(), *(ROOT / "tests").rglob("*.py")]
    assert [path for path in modules if drawers & {path.stem, *path.stem.split("_"), path.parent.name}] == []


def test_the_vendors_name_stays_where_it_belongs() -> None:
    in_code, in_prose = set(), set()
    for path in sources():
        if name(path).startswith(VENDOR_PACKAGES):
            continue
        for token, is_prose in _tokens(path):
            if "plivo" in token.lower():
                (in_prose if is_prose else in_code).add(name(path))
    assert in_code == set(VENDOR_IN_CODE), "keep the list in this file as short as the source allows"
    assert in_prose == set(VENDOR_IN_PROSE), "keep the list in this file as short as the source allows"


def test_pages_scripts_and_styles_do_not_name_the_vendor() -> None:
    files = [path for path in (SOURCE / "web" / "dashboard").rglob("*") if path.suffix in {".html", ".js", ".css"}]
    assert files
    assert [name(path) for path in files if "plivo" in path.read_text().lower()] == []


def _tokens(path: Path) -> list[tuple[str, bool]]:
    """Every token with whether it is prose: a comment, or a text that stands as a statement of its own."""
    statements = ast.walk(ast.parse(path.read_text()))
    prose_lines = {
        line
        for node in statements
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    with path.open("rb") as file:
        return [
            (token.string, token.type == tokenize.COMMENT or token.start[0] in prose_lines)
            for token in tokenize.tokenize(file.readline)
        ]


def test_lock_files_pin_by_hash_and_name_no_registry() -> None:
    locks = sorted((ROOT / "requirements").glob("*.lock"))
    assert [lock.name for lock in locks] == ["build.lock", "dev.lock", "fuzz.lock", "runtime.lock"]
    for lock in locks:
        text = lock.read_text()
        assert "://" not in text, lock.name
        assert not re.search(r"^\s*-(-index-url|-extra-index-url|-find-links|i|f)\b", text, re.MULTILINE), lock.name
        pinned = re.findall(r"^[\w.\-\[\]]+==\S+.*$", text, re.MULTILINE)
        assert pinned, lock.name
        assert all(line.endswith("\\") for line in pinned), lock.name
        assert text.count("--hash=sha256:") >= len(pinned), lock.name
