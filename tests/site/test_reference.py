"""The table in the admin guide is the one the loader makes, and the guide's site files load."""

import re
from pathlib import Path

import pytest

from gateway.certificates import CertificateFiles, make_self_signed
from ivr.site import load_site
from ivr.site.reference import TARGET, with_table

GUIDE = (Path(__file__).parents[2] / TARGET).read_text(encoding="utf-8")
SECRETS = {
    "IVR_SECRET_ALICE": "alices-password",
    "IVR_SECRET_CARRIER": "long-enough",
    "IVR_SECRET_SEAT_2001": "long-enough",
    "IVR_SECRET_HOOK": "long-enough",
    "IVR_SECRET_ORDERS_DB": "postgresql://ivr@db/orders",
}


def test_the_table_is_up_to_date() -> None:
    assert with_table(GUIDE) == GUIDE, "run: python -m ivr.site.reference"


def test_a_page_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="no place"):
        with_table("# Admin guide\n")


@pytest.mark.parametrize("example", re.findall(r"^```yaml\n(.*?)^```", GUIDE, re.M | re.S))
def test_every_example_loads(example: str, tmp_path: Path) -> None:
    make_self_signed(CertificateFiles(tmp_path / "tls" / "fullchain.pem", tmp_path / "tls" / "privkey.pem"))
    site = tmp_path / "site.yaml"
    site.write_text(f"{example}numbers: {{'1000': main, '4008200000': main}}\n", encoding="utf-8")
    assert load_site(site, SECRETS).problems == ()
