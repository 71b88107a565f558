"""A certificate authority of one's own, and a server certificate from it, as files.

The authority may sign for the names that it was made for, those below them, and no others (name constraints), so that
whoever gets hold of its key cannot pose as the rest of the world to those who trust it.
"""

import ipaddress
import os
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ringback.model.errors import ConfigInvalid

AUTHORITY_DAYS: Final = 3650
EARLIER: Final = timedelta(minutes=5)
"""Clocks differ: what is made now holds from a little earlier."""

_LABEL: Final = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DNS_NAME: Final = re.compile(rf"(\*\.)?({_LABEL}\.)*{_LABEL}")

Key = ec.EllipticCurvePrivateKey


class Files(msgspec.Struct, frozen=True):
    """Where authority and server certificate are kept."""

    directory: Path

    @property
    def authority(self) -> Path:
        """What clients have to trust."""
        return self.directory / "ca.pem"

    @property
    def authority_key(self) -> Path:
        """Signs; needed again only to renew the server certificate."""
        return self.directory / "ca.key"

    @property
    def certificate(self) -> Path:
        """What the server shows."""
        return self.directory / "server.pem"

    @property
    def key(self) -> Path:
        """The server's key."""
        return self.directory / "server.key"


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What was made, or was there already."""

    names: tuple[str, ...]
    authority_is_new: bool
    authority_until: datetime
    certificate_until: datetime


def make(files: Files, names: tuple[str, ...], *, now: datetime, days: int) -> Made:
    """Make a server certificate for ``names``, and an authority if there is none. Raises ``ConfigInvalid``."""
    wanted = [_general_name(name) for name in names]
    try:
        for directory in (files.directory.parent, files.directory):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        there = files.authority.exists() and files.authority_key.exists()
        authority, key = _read_authority(files) if there else _new_authority(wanted, now=now)
        _refuse_unfit(authority, wanted, now=now, file=files.authority)
        if not there:
            _write(files.authority_key, _pem_of(key), secret=True)
            _write(files.authority, authority.public_bytes(serialization.Encoding.PEM))
        certificate, server_key = _sign(wanted, authority, key, now=now, days=days)
        _write(files.key, _pem_of(server_key), secret=True)
        _write(files.certificate, certificate.public_bytes(serialization.Encoding.PEM))
    except OSError as error:
        raise ConfigInvalid(f"cannot keep certificates in {files.directory}: {error.strerror or error}") from error
    return Made(
        names=names,
        authority_is_new=not there,
        authority_until=authority.not_valid_after_utc,
        certificate_until=certificate.not_valid_after_utc,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    if len(name) > 253 or _DNS_NAME.fullmatch(name) is None:
        raise ConfigInvalid(f"--name {name[:64]!r} is no host name in lower case and no IP address")
    return x509.DNSName(name)


def _permitted(wanted: list[x509.GeneralName]) -> list[x509.GeneralName]:
    """Return the subtrees that an authority for these names may sign for.

    Of a kind that is not named at all everything would be permitted, so each kind is named.
    """
    names = [x509.DNSName(name.value.removeprefix("*.")) for name in wanted if isinstance(name, x509.DNSName)]
    networks = [x509.IPAddress(ipaddress.ip_network(name.value)) for name in wanted if isinstance(name, x509.IPAddress)]
    none = x509.IPAddress(ipaddress.ip_network("127.0.0.1"))
    return [*(names or [x509.DNSName("invalid")]), *(networks or [none])]


def _new_authority(wanted: list[x509.GeneralName], *, now: datetime) -> tuple[x509.Certificate, Key]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Ringback local authority {now:%Y-%m-%d %H:%M:%S}")])
    usage = _key_usage(key_cert_sign=True)
    certificate = (
        _begun(name, name, key, now=now, until=now + timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.NameConstraints(_permitted(wanted), None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def _read_authority(files: Files) -> tuple[x509.Certificate, Key]:
    try:
        authority = x509.load_pem_x509_certificate(files.authority.read_bytes())
        key = serialization.load_pem_private_key(files.authority_key.read_bytes(), None)
        authority.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise ConfigInvalid(
            f"{files.authority} or {files.authority_key} is damaged: remove both to make another authority"
        ) from error
    if not isinstance(key, Key) or key.public_key() != authority.public_key():
        raise ConfigInvalid(f"{files.authority_key} is not the key of {files.authority}: remove both to make others")
    return authority, key


def _refuse_unfit(authority: x509.Certificate, wanted: list[x509.GeneralName], *, now: datetime, file: Path) -> None:
    constraints = authority.extensions.get_extension_for_class(x509.NameConstraints).value
    missing = [name.value for name in _permitted(wanted) if name not in (constraints.permitted_subtrees or [])]
    if missing:
        raise ConfigInvalid(
            f"the authority in {file} may not sign for {missing[0]}: remove it and its key to make another, "
            "which clients have to trust anew"
        )
    if authority.not_valid_after_utc <= now:
        raise ConfigInvalid(
            f"the authority in {file} has expired: remove it and its key to make another, which clients have to "
            "trust anew"
        )


def _sign(
    wanted: list[x509.GeneralName], authority: x509.Certificate, authority_key: Key, *, now: datetime, days: int
) -> tuple[x509.Certificate, Key]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Ringback")])
    until = min(now + timedelta(days=days), authority.not_valid_after_utc)
    certificate = (
        _begun(name, authority.subject, key, now=now, until=until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(wanted), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return certificate, key


def _begun(
    subject: x509.Name, issuer: x509.Name, key: Key, *, now: datetime, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(until)
    )


def _key_usage(*, key_cert_sign: bool = False, digital_signature: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem_of(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes, *, secret: bool = False) -> None:
    """Write a file at once or not at all; a secret one is never readable by others, not even for a moment."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644), "wb") as file:
        file.write(content)
    fresh.replace(path)
