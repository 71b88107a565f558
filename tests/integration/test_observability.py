"""Alerts for Prometheus and dashboards for Grafana: whole, and made of figures that a running Ringback shows."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import promql_parser as promql
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from contrib.grafana import generate
from tests.fakes.endpoint import recording_endpoint
from tests.fakes.platform import running, settings_for

CONTRIB = Path(generate.__file__).parents[1]
RULES = CONTRIB / "prometheus" / "rules.yml"
FROM_PROMETHEUS = {"instance", "job"}
"""Labels that are added when Ringback is scraped."""
UNITS = {"short", "s", "reqps", "ops", "mps", "percentunit", "bytes", "decbytes"}
"""What panels may count in, as Grafana calls it; another one is to be looked up in its list of units."""
BOARDS = generate.boards()

Shown = dict[str, list[dict[str, str]]]
"""The labels of each series, by metric."""


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def panels(board: Any) -> list[dict[str, Any]]:
    return [panel for panel in generate.document(board)["panels"] if panel["type"] != "row"]


def asked() -> Iterator[tuple[str, str]]:
    """Give every expression, with who asks it."""
    for rule in rules():
        yield rule.get("alert") or rule["record"], rule["expr"]
    for board in BOARDS:
        for panel in panels(board):
            for target in panel["targets"]:
                # Prometheus knows no variables of Grafana's.
                expression = target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")
                yield f"{board['uid']}: {panel['title']}", expression


def parts(expression: Any) -> Iterator[Any]:
    """Give an expression and all that it is made of."""
    yield expression
    for name in ("expr", "lhs", "rhs", "vector_selector"):
        if (part := getattr(expression, name, None)) is not None:
            yield from parts(part)
    for part in getattr(expression, "args", ()):
        yield from parts(part)


def missing(who: str, text: str, shown: Shown) -> list[str]:
    """Say what an expression asks for and nobody shows."""
    found = list(parts(promql.parse(text)))
    selectors = [part for part in found if isinstance(part, promql.VectorSelector)]
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    lacks = [f"{who}: {each.name}" for each in selectors if each.name not in shown and each.name not in recorded]
    for selector in selectors:
        series = shown.get(selector.name, [])
        for matcher in selector.matchers.matchers:
            for value in matcher.value.split("|") if matcher.op == promql.MatchOp.Re else [matcher.value]:
                if matcher.name not in FROM_PROMETHEUS and not any(each.get(matcher.name) == value for each in series):
                    lacks.append(f"{who}: {selector.name}{{{matcher.name}={value}}}")  # noqa: PERF401
    labels = {label for selector in selectors for each in shown.get(selector.name, []) for label in each}
    grouped = {label for part in found if isinstance(part, promql.AggregateExpr) for label in _labels(part)}
    return lacks + [f"{who}: by {label}" for label in grouped - labels - FROM_PROMETHEUS]


def _labels(aggregate: Any) -> list[str]:
    return [] if aggregate.modifier is None else list(aggregate.modifier.labels)


async def test_every_figure_that_is_asked_for_is_shown_after_some_traffic(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, sources={"prov": {"tokens": ["t"]}})
    async with recording_endpoint() as endpoint, running(settings) as ringback:
        await ringback.send(url=endpoint.url)
        await endpoint.wait_for(3)
        await ringback.until_called_back()
        async with ringback.http.post(f"{ringback.url}/hooks/prov/sms_status", data=urlencode({"a": "b"})) as refused:
            assert refused.status == 403
        async with ringback.http.get(f"{ringback.url}/metrics") as answer:
            text = await answer.text()
    shown: Shown = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            shown.setdefault(sample.name, []).append(dict(sample.labels))
    lacks = [each for who, expression in asked() for each in missing(who, expression, shown)]
    assert lacks == []
    # Whoever has to pay for series asks how many there are: about 200 here, and none comes from what customers send.
    assert sum(len(series) for series in shown.values()) < 400


def test_what_is_not_shown_is_found_out() -> None:
    shown: Shown = {"a_total": [{"state": "ok"}]}
    assert missing("it", 'sum by (state) (rate(a_total{state="ok", instance=~".*"}[5m]))', shown) == []
    assert missing("it", "max(b_total)", shown) == ["it: b_total"]
    assert missing("it", 'a_total{state=~"ok|bad"}', shown) == ["it: a_total{state=bad}"]
    assert missing("it", "sum by (colour) (a_total)", shown) == ["it: by colour"]


def test_every_rule_is_one_to_prometheus_and_alerts_when_it_should() -> None:
    for command in (["check", "rules", "rules.yml"], ["test", "rules", "rules_test.yml"]):
        done = subprocess.run(["promtool", *command], cwd=RULES.parent, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_test_in_which_it_is_raised_and_one_in_which_it_is_not() -> None:
    tests = yaml.safe_load((RULES.parent / "rules_test.yml").read_text())["tests"]
    looked_at = [
        (case["alertname"], bool(case.get("exp_alerts"))) for test in tests for case in test["alert_rule_test"]
    ]
    alerts = {rule["alert"] for rule in rules() if "alert" in rule}
    assert {name for name, is_raised in looked_at if is_raised} == alerts
    assert {name for name, is_raised in looked_at if not is_raised} == alerts


def test_every_alert_says_what_is_wrong_and_how_bad_it_is() -> None:
    for rule in rules():
        if "alert" in rule:
            assert rule["labels"]["severity"] in {"warning", "critical"}
            assert set(rule["annotations"]) == {"summary", "description"}


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board["uid"])
def test_dashboards_are_whole(board: Any) -> None:
    made = json.loads((CONTRIB / "grafana" / f"{board['uid']}.json").read_text())
    assert made == generate.document(board), "renew it: python contrib/grafana/generate.py"
    every = made["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    variables = {variable["name"]: variable for variable in made["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    places: set[tuple[int, int]] = set()
    for panel in every:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & places, f"{panel['title']} lies upon another"
        assert max(x for x, _ in cells) < 24
        places |= cells
        if panel["type"] != "row":
            assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
            assert panel["description"]
            assert panel["targets"]
            assert {each["datasource"]["uid"] for each in (panel, *panel["targets"])} == {"${datasource}"}
            assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
            assert all("$instance" in target["expr"] for target in panel["targets"])


def test_dashboards_and_panels_can_be_told_apart() -> None:
    assert len({board["uid"] for board in BOARDS}) == len({board["title"] for board in BOARDS}) == len(BOARDS)
    for board in BOARDS:
        titles = [panel["title"] for panel in panels(board)]
        assert len(set(titles)) == len(titles)
