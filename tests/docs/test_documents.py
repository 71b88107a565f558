"""Documents say what is true: links, examples, settings, errors, log events and verdicts against the source."""

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import msgspec
import pytest

from ringback import settings
from ringback.dialect.callback_urls import canonical_callback_url, outside_safe_subset
from ringback.dialect.callbacks import status_params
from ringback.dialect.inbound import inbound_params
from ringback.model import errors
from ringback.model.status import OUTBOUND, Status
from ringback.web.dashboard.incoming import REASONS
from ringback.web.errors import STATUS, to_response
from ringback.web.hooks.receive import REFUSALS
from tests.docs import settings_page
from tests.docs.documents import ROOT, SOURCE, Block, blocks, marked, page, pages, prose, sources
from tests.fakes.messages import message

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_TEST_NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
_MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|root|home|Users|tmp)/")


# ---- pages ----


def test_the_readme_is_no_manual() -> None:
    assert len(page("README.md").splitlines()) < 200


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_resolve(path: Path) -> None:
    for target in _LINK.findall(prose(path)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = unquote(target).partition("#")
        linked = (path.parent / file) if file else path
        assert linked.exists(), target
        assert not anchor or anchor in set(_anchors(linked)), target


def _anchors(path: Path) -> Iterator[str]:
    for heading in re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_page_knows_the_machine_that_it_was_written_on(path: Path) -> None:
    assert _MACHINE_PATH.search(path.read_text()) is None


def test_pictures_are_small() -> None:
    pictures = list((ROOT / "docs" / "images").iterdir())
    assert pictures
    assert all(picture.stat().st_size < 200_000 for picture in pictures)


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_tests_that_a_page_names_exist(path: Path) -> None:
    for file, name in _TEST_NAMED.findall(path.read_text()):
        assert (ROOT / file).exists(), file
        assert not name or re.search(rf"^(async )?def {name}\(", page(file), re.MULTILINE), f"{file}::{name}"


# ---- examples ----


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_examples_parse(block: Block) -> None:
    compile(block.text, str(block), "exec")


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_json_examples_parse(block: Block) -> None:
    json.loads(block.text)


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_toml_examples_parse_and_settings_in_them_exist(block: Block, tmp_path: Path) -> None:
    parsed = tomllib.loads(block.text)
    if "rule" in parsed:
        return  # a simulator script, which test_simulator_docs.py reads
    file = tmp_path / "ringback.toml"
    file.write_text(block.text)
    settings.load(file=file, environment={}, flags={})


# ---- what the source says ----


def test_every_setting_is_documented() -> None:
    shown = settings_page.documented(page("docs/settings.md"))
    assert shown == settings_page.tables().strip("\n"), "renew it: python -m tests.docs.settings_page"


def test_settings_that_pages_name_exist() -> None:
    groups = {field.name: field.type for field in msgspec.structs.fields(settings.Settings)}
    named = re.compile(rf"`({'|'.join(groups)})\.([a-z_]+)`")
    found = [(path.name, *names) for path in pages() for names in named.findall(path.read_text())]
    assert found
    assert [each for each in found if each[2] not in groups[each[1]].__struct_fields__] == []


def test_every_parameter_of_a_callback_is_documented_with_its_statuses() -> None:
    row = re.compile(r"^\| (`\w+`(?:, `\w+`)*) \|[^|]*\|([^|]*(?:\|[^|]*){4})\|$", re.MULTILINE)
    rows = row.findall(_callbacks())
    shown = {
        name: [status for status, mark in zip(OUTBOUND, marks.split("|"), strict=True) if mark.strip() == "✓"]
        for names, marks in rows
        for name in re.findall(r"\w+", names)
    }
    sent: dict[str, list[Status]] = {}
    for status in OUTBOUND:
        for name, _ in status_params(_as_it_is_in(status)):
            sent.setdefault(name, []).append(status)
    assert shown == sent


def test_every_parameter_of_an_inbound_message_is_documented() -> None:
    arrives = page("docs/inbound.md").partition("| State |")[0]
    shown = [
        name for row in re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", arrives, re.MULTILINE) for name in _CODE.findall(row)
    ]
    sent = inbound_params(
        message(type="mms"), text="", intent="", powerpack_uuid=None, media_urls=("a", "b"), first_media_index=0
    )
    assert sorted(shown) == sorted(name for name, _ in sent)


def _as_it_is_in(status: Status) -> object:
    went_out = status in {Status.SENT, Status.DELIVERED, Status.UNDELIVERED}
    ended = status in {Status.DELIVERED, Status.UNDELIVERED, Status.FAILED}
    return message(
        status=status.value,
        mcc="310" if went_out else None,
        mnc="260" if went_out else None,
        sent_at_us=1 if went_out else None,
        final_at_us=2 if ended else None,
        error_code="30" if ended else None,
    )


def _callbacks() -> str:
    return page("docs/callbacks.md")


def _urls() -> list[tuple[str, str, str]]:
    return re.findall(r"^\| `(https?://\S+)` \| (yes|no) \| ?(.*?) ?\|$", _callbacks(), re.MULTILINE)


@pytest.mark.parametrize(("url", "agreed", "why"), _urls())
def test_the_table_of_urls_is_what_the_source_says(url: str, agreed: str, why: str) -> None:
    params = status_params(message(mcc="310", mnc="260", sent_at_us=1, final_at_us=2, error_code="000"))
    for method in ("POST", "GET"):
        doubts = outside_safe_subset(url, method=method, params=params)
        assert (doubts == []) == (agreed == "yes"), doubts
        as_sent = outside_safe_subset(canonical_callback_url(url), method=method, params=params)
        assert (as_sent == []) == (agreed == "yes" or "before signing" in why)


def test_every_verdict_is_documented() -> None:
    assert set(re.findall(r"^\| `(\w+)` \| (?:accepted|refused)", page("docs/receiver.md"), re.MULTILINE)) == set(
        REASONS
    )


def test_every_log_event_is_documented_with_its_level() -> None:
    shown = dict(re.findall(r"^\| `(\w+)` \| ([a-z]+)", page("docs/operating.md"), re.MULTILINE))
    levels = {"exception": "error"}
    logged = {}
    for path in sources():
        for call in _calls(path):
            match call:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="log"), attr=level), args=[ast.Constant(value=str(event)), *_]
                ):
                    logged[event] = levels.get(level, level)
                case ast.Call(func=ast.Name(id="write"), args=[ast.Constant(value=str(event)), *_]):
                    logged[event] = "info"
    assert shown == logged


def _calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield node


_ERRORS = {name for name, kind in vars(errors).items() if isinstance(kind, type)} | {"Invalid", "error_response"}


def _error_texts() -> Iterator[str]:
    """Texts of errors as the source writes them, ``X`` for each placeholder."""
    for path in sources():
        for call in _calls(path):
            name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
            if name in _ERRORS and call.args:
                yield from _template(call.args[-1])
    explaining = {SOURCE / "store" / "sqlite.py": "_explain", SOURCE / "model" / "segments.py": "too_long"}
    for path, function in explaining.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name == function:
                for inner in ast.walk(node):
                    if isinstance(inner, ast.Return) and inner.value is not None:
                        yield from _template(inner.value)
    yield from (text for _, text in REFUSALS.values())


def _template(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(part.value if isinstance(part, ast.Constant) else "X" for part in parts)


def test_every_error_text_is_documented() -> None:
    shown = "".join(
        page(name)
        for name in (
            "docs/access.md",
            "docs/analytics-pages.md",
            "docs/analytics.md",
            "docs/alerts.md",
            "docs/api.md",
            "docs/ask.md",
            "docs/bins.md",
            "docs/conversions.md",
            "docs/generate.md",
            "docs/limits.md",
            "docs/listen.md",
            "docs/numbers.md",
            "docs/receiver.md",
            "docs/reconciling.md",
            "docs/operating.md",
            "docs/smpp.md",
            "docs/smpp-server.md",
            "docs/upstream.md",
        )
    )
    documented = [
        re.compile(".+".join(re.escape(part) for part in text.split("…")), re.DOTALL)
        for text in _CODE.findall(shown)
        if " " in text
    ]
    texts = set(_error_texts())
    assert len(texts) > 40
    assert [text for text in sorted(texts) if not any(each.fullmatch(text) for each in documented)] == []


def test_statuses_of_errors_are_documented() -> None:
    shown = {int(status) for status in re.findall(r"^\| (\d{3}) \| `", page("docs/api.md"), re.MULTILINE)}
    assert {*STATUS.values(), 500} == shown
    assert to_response(errors.Forbidden("no")).status_code == 403


def test_the_layers_shown_are_those_enforced() -> None:
    config = tomllib.loads(page("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in config if contract["type"] == "layers")
    assert marked("layers").text.splitlines() == layers


def test_every_word_of_the_source_tree_has_a_place() -> None:
    places = re.findall(r"`([\w/]+(?:\.py|/))`", page("docs/glossary.md"))
    assert places
    assert [place for place in places if not (SOURCE / place).exists()] == []
