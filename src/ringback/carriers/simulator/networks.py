"""Mobile networks of some countries, as carriers name them: MCC, MNC and name.

A few of the larger networks of each country are enough for a simulation. A number belongs to the same one
every time, whatever the seed.
"""

from typing import Final
from zlib import crc32

import msgspec

from ringback.model.numbers import country


class Network(msgspec.Struct, frozen=True):
    """A mobile network."""

    mcc: str
    mnc: str
    name: str


def network_of(dst: str) -> Network | None:
    """Return the network of a number (digits with country code), ``None`` for countries not listed."""
    listed = NETWORKS.get(country(dst))
    return None if listed is None else listed[crc32(dst.encode()) % len(listed)]


def _networks(mcc: str, names: dict[str, str]) -> tuple[Network, ...]:
    return tuple(Network(mcc, mnc, name) for mnc, name in names.items())


NETWORKS: Final[dict[str, tuple[Network, ...]]] = {
    "AE": _networks("424", {"02": "Etisalat", "03": "du"}),
    "AR": _networks("722", {"070": "Movistar", "310": "Claro", "341": "Personal"}),
    "AT": _networks("232", {"01": "A1", "03": "Magenta", "05": "Drei"}),
    "AU": _networks("505", {"01": "Telstra", "02": "Optus", "03": "Vodafone"}),
    "BE": _networks("206", {"01": "Proximus", "10": "Orange", "20": "Base"}),
    "BR": _networks("724", {"03": "TIM", "05": "Claro", "11": "Vivo"}),
    "CA": _networks("302", {"220": "Telus", "610": "Bell", "720": "Rogers"}),
    "CH": _networks("228", {"01": "Swisscom", "02": "Sunrise", "03": "Salt"}),
    "CL": _networks("730", {"01": "Entel", "02": "Movistar", "03": "Claro"}),
    "CO": _networks("732", {"101": "Claro", "103": "Tigo", "123": "Movistar"}),
    "CZ": _networks("230", {"01": "T-Mobile", "02": "O2", "03": "Vodafone"}),
    "DE": _networks("262", {"01": "Telekom", "02": "Vodafone", "03": "O2"}),
    "DK": _networks("238", {"01": "TDC", "02": "Telenor", "20": "Telia"}),
    "EG": _networks("602", {"01": "Orange", "02": "Vodafone", "03": "Etisalat"}),
    "ES": _networks("214", {"01": "Vodafone", "03": "Orange", "07": "Movistar"}),
    "FI": _networks("244", {"05": "Elisa", "12": "DNA", "91": "Telia"}),
    "FR": _networks("208", {"01": "Orange", "10": "SFR", "15": "Free", "20": "Bouygues"}),
    "GB": _networks("234", {"10": "O2", "15": "Vodafone", "20": "Three", "30": "EE"}),
    "ID": _networks("510", {"01": "Indosat", "10": "Telkomsel", "11": "XL"}),
    "IE": _networks("272", {"01": "Vodafone", "03": "Eir", "05": "Three"}),
    "IL": _networks("425", {"01": "Partner", "02": "Cellcom", "03": "Pelephone"}),
    "IN": _networks("404", {"10": "Airtel", "11": "Vi", "34": "BSNL"}),
    "IT": _networks("222", {"01": "TIM", "10": "Vodafone", "88": "WindTre"}),
    "JP": _networks("440", {"10": "NTT DOCOMO", "20": "SoftBank", "50": "KDDI"}),
    "KE": _networks("639", {"02": "Safaricom", "03": "Airtel"}),
    "KR": _networks("450", {"05": "SK Telecom", "06": "LG U+", "08": "KT"}),
    "MX": _networks("334", {"020": "Telcel", "030": "Movistar", "050": "AT&T"}),
    "NG": _networks("621", {"20": "Airtel", "30": "MTN", "50": "Glo"}),
    "NL": _networks("204", {"04": "Vodafone", "08": "KPN", "16": "Odido"}),
    "NO": _networks("242", {"01": "Telenor", "02": "Telia"}),
    "NZ": _networks("530", {"01": "One NZ", "05": "Spark", "24": "2degrees"}),
    "PH": _networks("515", {"02": "Globe", "03": "Smart"}),
    "PL": _networks("260", {"01": "Plus", "02": "T-Mobile", "03": "Orange", "06": "Play"}),
    "PT": _networks("268", {"01": "Vodafone", "03": "NOS", "06": "MEO"}),
    "SE": _networks("240", {"01": "Telia", "07": "Tele2", "08": "Telenor"}),
    "SG": _networks("525", {"01": "Singtel", "03": "M1", "05": "StarHub"}),
    "TH": _networks("520", {"03": "AIS", "04": "TrueMove H", "05": "dtac"}),
    "TR": _networks("286", {"01": "Turkcell", "02": "Vodafone", "03": "Türk Telekom"}),
    "US": _networks("310", {"260": "T-Mobile", "410": "AT&T"}) + _networks("311", {"480": "Verizon"}),
    "VN": _networks("452", {"01": "MobiFone", "02": "VinaPhone", "04": "Viettel"}),
    "ZA": _networks("655", {"01": "Vodacom", "07": "Cell C", "10": "MTN"}),
}
"""Networks by ISO 3166 country."""
