"""Certificates: who may sign what, for how long, and who may read the keys."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from ringback.cli.certificates import Files, make
from ringback.model.errors import ConfigInvalid

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
NAMES = ("api.example.com", "localhost", "127.0.0.1")


def load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def verify(files: Files, name: str, *, at: datetime) -> None:
    store = Store([load(files.authority)])
    subject = x509.DNSName(name)
    PolicyBuilder().store(store).time(at).build_server_verifier(subject).verify(load(files.certificate), [])


def test_clients_that_trust_the_authority_believe_the_server(tmp_path: Path) -> None:
    files = Files(tmp_path / "tls")
    made = make(files, NAMES, now=NOW, days=30)
    verify(files, "api.example.com", at=NOW)
    verify(files, "localhost", at=NOW + timedelta(days=29))
    assert made.certificate_until == NOW + timedelta(days=30)
    for name, at in (("other.example.com", NOW), ("localhost", NOW + timedelta(days=31))):
        with pytest.raises(VerificationError):
            verify(files, name, at=at)


def test_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    files = Files(tmp_path / "data" / "tls")
    make(files, NAMES, now=NOW, days=30)
    make(files, NAMES, now=NOW, days=30)
    for path in (files.key, files.authority_key):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for directory in (files.directory, files.directory.parent):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert sorted(path.name for path in files.directory.iterdir()) == ["ca.key", "ca.pem", "server.key", "server.pem"]


def test_a_second_time_the_authority_stays_and_the_certificate_is_new(tmp_path: Path) -> None:
    files = Files(tmp_path)
    assert make(files, NAMES, now=NOW, days=30).authority_is_new
    authority, certificate = files.authority.read_bytes(), files.certificate.read_bytes()
    later = NOW + timedelta(days=29)
    made = make(files, ("localhost",), now=later, days=30)
    assert not made.authority_is_new
    assert files.authority.read_bytes() == authority
    assert files.certificate.read_bytes() != certificate
    verify(files, "localhost", at=later)


def test_a_certificate_does_not_outlive_its_authority(tmp_path: Path) -> None:
    made = make(Files(tmp_path), NAMES, now=NOW, days=30)
    last = make(Files(tmp_path), NAMES, now=made.authority_until - timedelta(days=3), days=30)
    assert last.certificate_until == made.authority_until


def test_the_authority_may_sign_for_its_own_names_only(tmp_path: Path) -> None:
    make(Files(tmp_path), NAMES, now=NOW, days=30)
    authority = load(tmp_path / "ca.pem")
    constraints = authority.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    assert [str(name.value) for name in constraints.value.permitted_subtrees or []] == [
        "api.example.com", "localhost", "127.0.0.1/32",
    ]  # fmt: skip
    for names in (("other.example.com",), ("10.0.0.1",)):
        with pytest.raises(ConfigInvalid, match="may not sign for"):
            make(Files(tmp_path), names, now=NOW, days=30)


def test_of_a_kind_that_is_not_named_next_to_nothing_is_permitted(tmp_path: Path) -> None:
    for at, names in enumerate((("api.example.com",), ("10.0.0.1",))):
        make(Files(tmp_path / str(at)), names, now=NOW, days=30)
        constraints = load(tmp_path / str(at) / "ca.pem").extensions.get_extension_for_class(x509.NameConstraints)
        kinds = {type(name) for name in constraints.value.permitted_subtrees or []}
        assert kinds == {x509.DNSName, x509.IPAddress}


@pytest.mark.parametrize("name", ["", "a b", "UPPER", "-x", "x-", "a..b", "http://x", "x" * 300, "1.2.3.4/8"])
def test_names_that_are_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigInvalid, match="is no host name"):
        make(Files(tmp_path / "tls"), (name,), now=NOW, days=30)
    assert not (tmp_path / "tls").exists()


def test_what_cannot_be_used_is_told(tmp_path: Path) -> None:
    files = Files(tmp_path)
    made = make(files, NAMES, now=NOW, days=30)
    with pytest.raises(ConfigInvalid, match="has expired"):
        make(files, NAMES, now=made.authority_until, days=30)
    make(Files(tmp_path / "other"), NAMES, now=NOW, days=30)
    files.authority_key.write_bytes((tmp_path / "other" / "ca.key").read_bytes())
    with pytest.raises(ConfigInvalid, match="is not the key of"):
        make(files, NAMES, now=NOW, days=30)
    files.authority.write_text("nonsense")
    with pytest.raises(ConfigInvalid, match="is damaged"):
        make(files, NAMES, now=NOW, days=30)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigInvalid, match="cannot keep certificates"):
        make(Files(tmp_path / "file" / "tls"), NAMES, now=NOW, days=30)
