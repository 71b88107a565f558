"""What the demo promises, run as a user would."""

import json

from tests.fakes.process import run


def test_two_hundred_messages_are_accounted_for() -> None:
    ended = run(
        "demo",
        "--messages",
        "200",
        "--exit",
        "--json",
        "--timeout",
        "240",
        timeout_s=300,
        RINGBACK_SIMULATOR__SPEED="3",
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    report = json.loads(ended.stdout)
    assert report["accepted"] == 200
    assert sum(report["final_by_status"].values()) == 200
    assert "queued" not in report["final_by_status"]
    callbacks = report["callbacks"]
    assert callbacks["sent"] == callbacks["received"] == callbacks["verified"] >= 500
    assert callbacks["duplicate"] == 0
    assert report["unexplained"] == []
    assert report["complete"] is True
    assert 0 < report["accept_to_last_callback_s"]["p50"] <= report["accept_to_last_callback_s"]["p95"]


def test_time_that_is_not_enough_is_told_and_fails() -> None:
    # So slow a carrier has answered nothing when the time is up, however long it has taken to send.
    slow = {"RINGBACK_SIMULATOR__SPEED": "0.0005", "RINGBACK_DRAIN_S": "1"}
    ended = run("demo", "--messages", "20", "--exit", "--json", "--timeout", "1", **slow)
    assert ended.returncode == 1
    report = json.loads(ended.stdout)
    assert report["complete"] is False
    assert report["unexplained"]


def test_a_carrier_of_the_operators_own_is_not_sent_to() -> None:
    own = {"RINGBACK_SMPP__HOST": "127.0.0.1", "RINGBACK_SMPP__PORT": "1", "RINGBACK_SMPP__SYSTEM_ID": "me"}
    ended = run("demo", "--messages", "1", "--exit", **own)
    assert ended.returncode == 2
    assert "the demo sends through the simulated carrier: leave out your own, or --messages" in ended.stderr
