"""Our reader of forms gives what the standard library's gives."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.receiver.event import MAX_FIELDS, read_pairs


@given(st.one_of(st.text(), st.text(alphabet="ab=&+%0c3;é \x00")))
def test_it_reads_as_the_library_does(text: str) -> None:
    try:
        expected = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError:
        with pytest.raises(ValueError):
            read_pairs(text)
    else:
        assert list(read_pairs(text)) == expected


@pytest.mark.parametrize(("fields", "fits"), [(MAX_FIELDS, True), (MAX_FIELDS + 1, False)])
def test_parameters_are_bounded(fields: int, *, fits: bool) -> None:
    text = "&".join(["a=1"] * fields)
    if fits:
        assert len(read_pairs(text)) == fields
    else:
        with pytest.raises(ValueError):
            read_pairs(text)
