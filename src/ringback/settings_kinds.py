"""What settings are made of: kinds of values with their bounds, and what every group of them is."""

from typing import Annotated

import msgspec

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Limit = Annotated[int, msgspec.Meta(ge=0)]
Rate = Annotated[float, msgspec.Meta(ge=0, le=10_000)]
Octet = Annotated[int, msgspec.Meta(ge=0, le=255)]
Numbering = Annotated[str, msgspec.Meta(pattern=r"^[0-7]/(1[0-8]|[0-9])$")]
CarrierName = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]


class Group(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the setting groups."""
