"""Content Credentials signed here, by an authority of our own: what each state is read as."""

import io
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import c2pa
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from forensic_chat.errors import UsageError
from forensic_chat.evidence import provenance
from forensic_chat.evidence.observation import Observation
from forensic_chat.imaging.intake import take_in
from forensic_chat.settings import Settings
from tests.unit.evidence_images import encoded, scene

SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/"


def _name(common: str) -> x509.Name:
    parts = ((NameOID.COUNTRY_NAME, "US"), (NameOID.ORGANIZATION_NAME, "Test <|Press|>"))
    return x509.Name([x509.NameAttribute(k, v) for k, v in (*parts, (NameOID.COMMON_NAME, common))])


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(signs, False, False, False, False, not signs, not signs, False, False)


def _certificate(
    common: str, key: ec.EllipticCurvePrivateKey, issuer: ec.EllipticCurvePrivateKey, *, authority: bool
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(common))
        .issuer_name(_name("root"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=300))
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
        .add_extension(_usage(signs=not authority), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if not authority:
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False
        ).add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False
        )
    return builder.sign(issuer, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


@cache
def authority() -> tuple[str, str, str]:
    """Certificates of a root and of a signer below it, and the signer's key, as PEM."""
    root, leaf = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    key = leaf.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    signer = _certificate("signer", leaf, root, authority=False)
    return _pem(_certificate("root", root, root, authority=True)), _pem(signer), key


@cache
def signed(source: str, kind: str = "JPEG") -> bytes:
    root, leaf, key = authority()
    action = {"action": "c2pa.created", "digitalSourceType": SOURCE + source}
    manifest = {
        "claim_generator_info": [{"name": "test", "version": "1"}],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [action]}}],
    }
    info = c2pa.C2paSignerInfo(b"es256", (leaf + root).encode(), key.encode(), None)
    target = io.BytesIO()
    with c2pa.Signer.from_info(info) as signer, c2pa.Builder(manifest) as builder:
        builder.sign(signer, f"image/{kind.lower()}", io.BytesIO(encoded(scene(96, 96), kind)), target)
    return target.getvalue()


def seen(data: bytes, *, trusting: bool = False) -> Observation:
    (observation,) = provenance.observe(take_in(data), authority()[0] if trusting else None)
    return observation


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_unknown_signer_is_valid_but_untrusted(kind: str) -> None:
    found = seen(signed("trainedAlgorithmicMedia", kind))
    assert found.value == "untrusted"
    assert "valid but untrusted" in found.clean
    assert found.fixed == ("synthetic", 0.9)


@pytest.mark.parametrize(
    ("source", "supports", "untrusted"),
    [
        ("trainedAlgorithmicMedia", "synthetic", "synthetic"),
        ("compositeWithTrainedAlgorithmicMedia", "tampered", "tampered"),
        ("digitalCapture", "real", "neutral"),
        ("humanEdits", "neutral", "neutral"),
    ],
)
def test_what_a_source_type_supports(source: str, supports: str, untrusted: str) -> None:
    found = seen(signed(source), trusting=True)
    assert found.value == "trusted"
    assert found.fixed is not None
    assert found.fixed[0] == supports
    other = seen(signed(source))
    assert other.fixed is not None
    assert other.fixed[0] == untrusted


def test_trusted_weighs_more() -> None:
    data = signed("trainedAlgorithmicMedia")
    trusted, untrusted = seen(data, trusting=True).fixed, seen(data).fixed
    assert trusted is not None
    assert untrusted is not None
    assert trusted[1] > untrusted[1]


def test_changed_pixels_make_it_invalid_and_neutral() -> None:
    data = bytearray(signed("trainedAlgorithmicMedia"))
    data[-300] ^= 0x55
    found = seen(bytes(data))
    assert found.value == "invalid"
    assert found.fixed is not None
    assert found.fixed[0] == "neutral"


def test_damaged_record_could_not_be_read() -> None:
    data = bytearray(signed("trainedAlgorithmicMedia"))
    at = data.find(b"jumb") + 200
    data[at : at + 20] = bytes(20)
    found = seen(bytes(data))
    assert found.value in (None, "invalid")
    assert found.fixed is not None
    assert found.fixed[0] == "neutral"


def test_absent_says_nothing() -> None:
    found = seen(encoded(scene(64, 64)))
    assert found.value == "absent"
    assert found.fixed == ("neutral", 0.0)


def test_the_words_alone_are_no_record() -> None:
    data = encoded(scene(64, 64), "JPEG", comment=b"jumb c2pa")
    assert seen(data).value == "absent"


def test_remote_record_is_named_and_not_fetched() -> None:
    packet = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/" dcterms:provenance="http://127.0.0.1:9/x.c2pa"></x:xmpmeta>'
    )
    found = seen(encoded(scene(64, 64), "JPEG", xmp=packet))
    assert found.value == "absent"
    assert "not fetched" in found.clean


def test_signer_name_is_cleaned() -> None:
    assert "<" not in seen(signed("humanEdits")).clean


def test_the_bundled_list_holds_authorities_that_the_library_takes() -> None:
    anchors = x509.load_pem_x509_certificates(provenance.trust_anchors().encode())
    assert len(anchors) >= 30
    assert all(a.extensions.get_extension_for_class(x509.BasicConstraints).value.ca for a in anchors)
    names = " ".join(a.subject.rfc4514_string() for a in anchors)
    assert all(name in names for name in ("Google C2PA Root CA G3", "SSL.com C2PA", "DigiCert"))
    # with the list in force, a signer that it does not lead to stays untrusted
    assert seen(signed("humanEdits")).value == "untrusted"


def test_a_named_trust_list_replaces_the_bundled_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = tmp_path / "anchors.pem"
    listed.write_text("# mine\n", encoding="utf-8")
    monkeypatch.setattr(provenance, "settings", lambda: Settings(trust_list=listed))
    assert provenance.trust_anchors() == "# mine\n"
    listed.unlink()
    with pytest.raises(UsageError, match=r"anchors\.pem can't be read"):
        provenance.trust_anchors()
