"""The fraud alert: what an account is told when a country's threshold is passed (contract section 2.2)."""

import msgspec


def threshold_breach(*, auth_id: str, country: str, threshold: int) -> str:
    """Return the alert as JSON text."""
    return msgspec.json.encode(
        {
            "auth_id": auth_id,
            "destination_country": country,
            "block": True,
            "alert_type": "sms_threshold_breach",
            "message": f"more than {threshold} messages to {country} within the hour: further ones fail with code 451",
        }
    ).decode()
