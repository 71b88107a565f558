"""Writes the dashboards for Grafana, ``*.json`` beside this file, from ``dashboards.toml``.

    python contrib/grafana/generate.py

Import the files in Grafana (Dashboards, New, Import), or have it read them (provisioning, ``dashboards: path:``). Each
asks for a Prometheus that scrapes Ringback's ``/metrics``. What the figures mean: docs/operating.md, section "Metrics".
"""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
WIDTH = 12
"""Of a panel; Grafana's grid has 24 columns."""
HEIGHT = 8
COLOURS = {
    "delivered": "green", "ok": "green", "accepted": "green", "taken": "green", "up": "green",
    "undelivered": "orange", "deferred": "orange", "http_status": "orange", "open": "orange",
    "failed": "red", "given_up": "red", "rejected": "red", "down": "red",
}  # fmt: skip
"""Of series by their name, the same in every panel."""

Described = Mapping[str, Any]


def boards() -> list[Described]:
    """Read the description."""
    found: list[Described] = tomllib.loads((HERE / "dashboards.toml").read_text())["board"]
    return found


def expressions(panel: Described) -> list[tuple[str, str]]:
    """Return what a panel asks, each with the name of its series."""
    asked = [(expression, name) for expression, name in panel.get("queries", [])]
    if buckets := panel.get("quantiles"):
        rate = f"sum by (le) (rate({buckets}[$__rate_interval]))"
        asked[:0] = [(f"histogram_quantile({share}, {rate})", f"p{share * 100:g}") for share in (0.5, 0.95, 0.99)]
    return [(_of_instances(expression), name) for expression, name in asked]


def _of_instances(expression: str) -> str:
    chosen = 'instance=~"$instance"'

    def narrow(found: re.Match[str]) -> str:
        labels = f"{found['labels']}, " if found["labels"] else ""
        return f"{found['metric']}{{{labels}{chosen}}}"

    metric = r"\b(?P<metric>(?:ringback|process)_\w+)(?:\{(?P<labels>[^}]*)\})?"
    return re.sub(metric, narrow, expression).strip()


def document(board: Described) -> dict[str, Any]:
    """Return a dashboard as Grafana reads it."""
    panels: list[dict[str, Any]] = []
    y = 0
    for row in board["row"]:
        panels.append({"id": len(panels) + 1, "type": "row", "title": row["title"], "collapsed": False, "panels": [],
                       "gridPos": {"h": 1, "w": 24, "x": 0, "y": y}})  # fmt: skip
        y += 1
        for place, panel in enumerate(row["panel"]):
            at = {"h": HEIGHT, "w": WIDTH, "x": place % 2 * WIDTH, "y": y + place // 2 * HEIGHT}
            panels.append({"id": len(panels) + 1, "gridPos": at} | _panel(panel))
        y += (len(row["panel"]) + 1) // 2 * HEIGHT
    return {
        "uid": board["uid"], "title": board["title"], "description": board["says"],
        "tags": ["ringback"], "editable": True,
        "schemaVersion": 39, "version": 1, "refresh": "30s", "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser", "graphTooltip": 1, "annotations": {"list": []}, "panels": panels,
        "links": [{"type": "dashboards", "tags": ["ringback"], "title": "Ringback", "asDropdown": True,
                   "includeVars": True, "keepTime": True}],
        "templating": {"list": [_DATASOURCE, _INSTANCE]},
    }  # fmt: skip


_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_DATASOURCE = {
    "name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "hide": 0, "refresh": 1,
}  # fmt: skip
_INSTANCE = {
    "name": "instance", "label": "Instance", "type": "query", "datasource": _SOURCE, "refresh": 2, "sort": 1,
    "query": {"query": "label_values(ringback_build_info, instance)", "refId": "instance"},
    "includeAll": True, "multi": True, "allValue": ".*", "current": {"text": ["All"], "value": ["$__all"]},
}  # fmt: skip


def _panel(panel: Described) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + place), "datasource": _SOURCE, "expr": expression, "legendFormat": name, "range": True}
        for place, (expression, name) in enumerate(expressions(panel))
    ]
    is_stacked = panel.get("stacked", False)
    stacking = {"mode": "normal" if is_stacked else "none", "group": "A"}
    return {
        "type": "timeseries", "title": panel["title"], "description": panel["says"], "datasource": _SOURCE,
        "targets": targets,
        "fieldConfig": {
            "defaults": {"unit": panel["unit"], "min": 0, "color": {"mode": "palette-classic"},
                         "custom": {"lineWidth": 1, "fillOpacity": 40 if is_stacked else 8,
                                    "showPoints": "never", "stacking": stacking}},
            "overrides": [
                {"matcher": {"id": "byName", "options": name},
                 "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}]}
                for name, colour in COLOURS.items()
            ],
        },
        "options": {"legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]},
                    "tooltip": {"mode": "multi", "sort": "desc"}},
    }  # fmt: skip


def text(board: Described) -> str:
    """Return a dashboard as its file holds it."""
    return json.dumps(document(board), indent=1) + "\n"


def main() -> None:
    """Write every file."""
    for board in boards():
        (HERE / f"{board['uid']}.json").write_text(text(board))


if __name__ == "__main__":
    main()
