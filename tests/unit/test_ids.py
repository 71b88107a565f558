import re
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from ringback.model.ids import AUTH_ID, as_uuid, auth_id, uuid7


@given(st.binary(min_size=18, max_size=18), st.sampled_from(["MA", "SA"]))
def test_auth_ids_have_the_shape_that_sdks_demand(randomness: bytes, kind: str) -> None:
    made = auth_id(randomness, kind=kind)
    assert AUTH_ID.fullmatch(made)
    assert re.fullmatch(r"^(M|S)A[A-Z0-9]{18}$", made)


@given(st.integers(0, 2**47 * 1000), st.binary(min_size=8, max_size=8))
def test_uuid7_is_a_valid_uuid(now_us: int, randomness: bytes) -> None:
    made = UUID(uuid7(now_us, randomness))
    assert made.version == 7
    assert made.variant == "specified in RFC 4122"
    assert made.int >> 80 == now_us // 1000


@given(st.integers(0, 2**47 * 1000), st.integers(1, 10**9), st.binary(min_size=8, max_size=8))
def test_uuid7_sorts_by_time(now_us: int, later_us: int, randomness: bytes) -> None:
    assert uuid7(now_us, b"\xff" * 8) < uuid7(now_us + later_us, randomness)


def test_as_uuid_canonicalises_and_refuses() -> None:
    assert as_uuid("DB3CE55A-7F1D-11E1-8EA7-1231380BC196") == "db3ce55a-7f1d-11e1-8ea7-1231380bc196"
    assert as_uuid("not-a-uuid") is None
