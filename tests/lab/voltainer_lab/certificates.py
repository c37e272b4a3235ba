# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's certificate authority, what it signs, and ssh keys. Everything is made once and then found again."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .state import write_atomically

_LIFETIME = datetime.timedelta(days=3650)


@dataclass(frozen=True)
class KeyPair:
    """A key and the certificate for it, both as PEM."""

    key: bytes
    certificate: bytes


@dataclass(frozen=True)
class SshKey:
    """A private key (OpenSSH's PEM) and its public line `ssh-ed25519 AAAA...`."""

    private: bytes
    public: str


class Authority:
    """Signs certificates for the lab's servers and its one client."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._pair = _load(directory, "ca") or self._make_root()
        self._certificate = x509.load_pem_x509_certificate(self._pair.certificate)

    @property
    def certificate(self) -> bytes:
        """The authority's own certificate, as PEM."""
        return self._pair.certificate

    def server(self, name: str, names: list[str], addresses: list[str]) -> KeyPair:
        """Return the certificate of a server that is reached by these names and addresses."""
        wanted: list[x509.GeneralName] = [x509.DNSName(each) for each in names]
        wanted += [x509.IPAddress(ipaddress.ip_address(each)) for each in addresses]
        pair = _load(self._directory, name)
        if pair is None or not self._fits(pair, wanted):
            pair = self._sign(name, ExtendedKeyUsageOID.SERVER_AUTH, wanted)
        return pair

    def client(self) -> KeyPair:
        """Return the certificate by which an engine knows the lab's user."""
        pair = _load(self._directory, "client")
        if pair is None or not self._fits(pair, []):
            pair = self._sign("client", ExtendedKeyUsageOID.CLIENT_AUTH, [])
        return pair

    def _fits(self, pair: KeyPair, wanted: list[x509.GeneralName]) -> bool:
        certificate = x509.load_pem_x509_certificate(pair.certificate)
        found: list[x509.GeneralName] = []
        for extension in certificate.extensions:
            if isinstance(extension.value, x509.SubjectAlternativeName):
                found = list(extension.value)
        return found == wanted and _signed_by(certificate, self._certificate)

    def _make_root(self) -> KeyPair:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "voltainer lab authority")])
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = (
            _builder(name, name, key.public_key(), key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
        )
        return _store(self._directory, "ca", key, builder.sign(key, hashes.SHA256()))

    def _sign(self, name: str, use: x509.ObjectIdentifier, names: list[x509.GeneralName]) -> KeyPair:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"voltainer lab {name}")])
        signer = serialization.load_pem_private_key(self._pair.key, None)
        if not isinstance(signer, ec.EllipticCurvePrivateKey):
            raise TypeError("the lab's authority has a key of another kind than it was made with")
        builder = _builder(subject, self._certificate.subject, key.public_key(), signer.public_key())
        builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return _store(self._directory, name, key, builder.sign(signer, hashes.SHA256()))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, signer: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    # A day back: the clocks of hosts and of the machine that made the certificate may differ.
    begin = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + _LIFETIME)
        # Python 3.13 and later refuse a chain without these two.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False)
    )


def _signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    key = authority.public_key()
    algorithm = certificate.signature_hash_algorithm
    if not isinstance(key, ec.EllipticCurvePublicKey) or algorithm is None:
        return False
    try:
        key.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(algorithm))
    except Exception:  # noqa: BLE001 - whatever is wrong with the signature: a new certificate is made
        return False
    return True


def _load(directory: Path, name: str) -> KeyPair | None:
    try:
        return KeyPair((directory / f"{name}-key.pem").read_bytes(), (directory / f"{name}.pem").read_bytes())
    except FileNotFoundError:
        return None


def _store(directory: Path, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> KeyPair:
    pair = KeyPair(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        certificate.public_bytes(serialization.Encoding.PEM),
    )
    write_atomically(directory / f"{name}-key.pem", pair.key)
    write_atomically(directory / f"{name}.pem", pair.certificate, 0o644)
    return pair


def ssh_key(path: Path) -> SshKey:
    """Return the ssh key pair stored at path, made now if it is not there."""
    try:
        private = path.read_bytes()
        key = serialization.load_ssh_private_key(private, None)
    except FileNotFoundError:
        key = ed25519.Ed25519PrivateKey.generate()
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        write_atomically(path, private)
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return SshKey(private, public.decode())
