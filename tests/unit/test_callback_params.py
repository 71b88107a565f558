"""Parameters of callbacks as forms and queries have them."""

from urllib.parse import urlencode, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from ringback.dialect.callbacks import form, with_query

PAIRS = st.lists(
    st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
)


@given(PAIRS)
def test_a_form_is_what_urlencode_makes_of_it(params: list[tuple[str, str]]) -> None:
    assert form(params) == urlencode(params)


@given(PAIRS, st.sampled_from(["", "?", "?a=b", "?a=b&c", "?#x", "?a=b#x", "#x?"]))
def test_parameters_come_after_the_query_that_is_there(params: list[tuple[str, str]], rest: str) -> None:
    url = f"http://a.example:8080/x;y{rest}"
    before, after = urlsplit(url), urlsplit(with_query(url, params))
    assert after[:3] == before[:3]
    assert after.query == "&".join(part for part in (before.query, urlencode(params)) if part)
    assert after.fragment == ""
