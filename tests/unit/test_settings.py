from pathlib import Path

import pytest

from ringback.settings import Invalid, load


def test_later_sources_win(tmp_path: Path) -> None:
    file = tmp_path / "ringback.toml"
    file.write_text("[server]\nport = 1\nhost = '127.0.0.9'\n[sources.plivo]\ntokens = ['a']\n")
    settings = load(
        file=file,
        environment={"RINGBACK_SERVER__PORT": "2", "RINGBACK_DELIVERY__RETRY_DELAYS_S": "1,2.5", "HOME": "/"},
        flags={"server": {"port": 3, "host": None}},
    )
    assert (settings.server.port, settings.server.host) == (3, "127.0.0.9")
    assert settings.delivery.retry_delays_s == (1.0, 2.5)
    assert settings.sources["plivo"].tokens == ("a",)


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"RINGBACK_SERVER__PRT": "1"}, "unknown field `prt`"),
        ({"RINGBACK_SERVER__PORT": "70000"}, r"<= 65535.*\$\.server\.port"),
        ({"RINGBACK_SERVER__PORT": "eighty"}, r"int.*\$\.server\.port"),
        ({"RINGBACK_MESSAGING__DEFAULT_RATE": "free"}, "default_rate"),
        ({"RINGBACK_SERVER": "x"}, "server"),
        ({"RINGBACK_LOG__LEVEL": "loud"}, "level"),
        ({"RINGBACK_DRAIN_S": "1", "RINGBACK_DRAIN_S__X": "1"}, "drain_s is a value, not a group"),
    ],
)
def test_mistakes_are_named(environment: dict[str, str], complaint: str) -> None:
    with pytest.raises(Invalid, match=complaint):
        load(file=None, environment=environment, flags={})


@pytest.mark.parametrize("flags", [{}, {"server": {"port": 3}}])
def test_a_group_that_is_a_value_is_named(tmp_path: Path, flags: dict[str, dict[str, object]]) -> None:
    file = tmp_path / "ringback.toml"
    file.write_text("server = 5")
    with pytest.raises(Invalid, match="server"):
        load(file=file, environment={}, flags=flags)


@pytest.mark.parametrize(("text", "complaint"), [("[server", "not valid TOML"), (None, "cannot read")])
def test_bad_files_are_named(tmp_path: Path, text: str | None, complaint: str) -> None:
    file = tmp_path / "ringback.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(Invalid, match=complaint):
        load(file=file, environment={}, flags={})
