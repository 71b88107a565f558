"""Segmentation against the tables of 3GPP TS 23.038 and a slow reference that shares no code with it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.model import segments
from ringback.model.segments import Encoding, Segmentation, replace_smart_characters, segment, too_long

# Code points by GSM code, eight to a line, from the table in clause 6.2.1; 0x1B is the escape.
BASIC_TABLE = """
    0040 00A3 0024 00A5 00E8 00E9 00F9 00EC
    00F2 00C7 000A 00D8 00F8 000D 00C5 00E5
    0394 005F 03A6 0393 039B 03A9 03A0 03A8
    03A3 0398 039E 001B 00C6 00E6 00DF 00C9
    0020 0021 0022 0023 00A4 0025 0026 0027
    0028 0029 002A 002B 002C 002D 002E 002F
    0030 0031 0032 0033 0034 0035 0036 0037
    0038 0039 003A 003B 003C 003D 003E 003F
    00A1 0041 0042 0043 0044 0045 0046 0047
    0048 0049 004A 004B 004C 004D 004E 004F
    0050 0051 0052 0053 0054 0055 0056 0057
    0058 0059 005A 00C4 00D6 00D1 00DC 00A7
    00BF 0061 0062 0063 0064 0065 0066 0067
    0068 0069 006A 006B 006C 006D 006E 006F
    0070 0071 0072 0073 0074 0075 0076 0077
    0078 0079 007A 00E4 00F6 00F1 00FC 00E0
"""
BASIC_CODE_POINTS = BASIC_TABLE.split()
EXTENSION_CODES = {
    0x000C: 0x0A,
    0x005E: 0x14,
    0x007B: 0x28,
    0x007D: 0x29,
    0x005C: 0x2F,
    0x005B: 0x3C,
    0x007E: 0x3D,
    0x005D: 0x3E,
    0x007C: 0x40,
    0x20AC: 0x65,
}
BASIC = {chr(int(code, 16)) for code in BASIC_CODE_POINTS} - {"\x1b"}
EXTENSION = {chr(code) for code in EXTENSION_CODES}

EMOJI = "\U0001f600"
SMART = ["\u2018", "\u201d", "\u2013", "\u2026", "\u00a0", "\u200b", "\ufb01", "\uff21", "\t", "e\u0301"]
ALPHABETS = [
    st.sampled_from(sorted(BASIC)),
    st.sampled_from(sorted(EXTENSION)),
    st.sampled_from(SMART),
    st.sampled_from(["ш", "漢", EMOJI, "\U0010ffff"]),
    st.characters(),
]


def costs(text: str) -> list[int]:
    if all(character in BASIC or character in EXTENSION for character in text):
        return [1 if character in BASIC else 2 for character in text]
    return [1 if ord(character) < 0x10000 else 2 for character in text]


def fewest_parts(characters: list[int], single: int, concatenated: int) -> int:
    if sum(characters) <= single:
        return 1
    fewest = [0]
    for end in range(1, len(characters) + 1):
        size, best, start = 0, end, end
        while start and size + characters[start - 1] <= concatenated:
            start -= 1
            size += characters[start]
            best = min(best, fewest[start] + 1)
        fewest.append(best)
    return fewest[-1]


@st.composite
def texts(draw: st.DrawFn, *, surrogates: bool = True) -> str:
    """Runs of characters, so that lengths around the boundaries come up."""
    alphabets = draw(st.lists(st.sampled_from(ALPHABETS), min_size=1, max_size=2))
    runs = draw(st.lists(st.tuples(st.one_of(*alphabets), st.integers(1, 160)), max_size=6))
    text = "".join(character * count for character, count in runs)
    return text if surrogates else text.encode("utf-8", "replace").decode()


def beginning(value: object) -> str:
    return ascii(value)[:16]


def test_the_basic_table_is_the_standards() -> None:
    assert [f"{ord(character):04X}" for character in segments.GSM_BASIC] == BASIC_CODE_POINTS


def test_the_extension_table_is_the_standards() -> None:
    assert {ord(character): code for character, code in segments.GSM_EXTENSION.items()} == EXTENSION_CODES


@pytest.mark.parametrize(
    ("text", "encoding", "units", "length"),
    [
        ("", "gsm7", 1, 0),
        ("a" * 160, "gsm7", 1, 160),
        ("a" * 161, "gsm7", 2, 161),
        ("a" * 153 * 2, "gsm7", 2, 306),
        ("a" * (153 * 2 + 1), "gsm7", 3, 307),
        ("€" * 80, "gsm7", 1, 160),
        ("€" * 81, "gsm7", 2, 162),
        ("€" * 76 * 2, "gsm7", 2, 304),
        ("€" * 153, "gsm7", 3, 306),
        ("ш" * 70, "ucs2", 1, 70),
        ("ш" * 71, "ucs2", 2, 71),
        ("ш" * 67 * 2, "ucs2", 2, 134),
        ("ш" * (67 * 2 + 1), "ucs2", 3, 135),
        (EMOJI * 35, "ucs2", 1, 70),
        (EMOJI * 36, "ucs2", 2, 72),
        (EMOJI * 66, "ucs2", 2, 132),
        (EMOJI * 67, "ucs2", 3, 134),
        ("ΔΦΓΛΩΠΨΣΘΞ", "gsm7", 1, 10),
        ("\N{GREEK CAPITAL LETTER ALPHA}", "ucs2", 1, 1),
        ("Ç", "gsm7", 1, 1),
        ("ç", "ucs2", 1, 1),
        ("line\r\nfeed\f", "gsm7", 1, 12),
        ("\x1b", "ucs2", 1, 1),
        ("\x00", "ucs2", 1, 1),
    ],
    ids=beginning,
)
def test_known_texts(text: str, encoding: Encoding, units: int, length: int) -> None:
    found = segment(text)
    assert (found.encoding, found.units, found.length, found.text) == (encoding, units, length, text)
    assert len(found.parts) == units


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("a" * 152 + "€" + "b" * 10, [152, 11]),
        ("a" * 151 + "€" + "b" * 10, [152, 10]),
        ("a" * 153 + "€" + "b" * 10, [153, 11]),
        ("a" * 152 + "€" * 5, [152, 5]),
        ("ш" * 66 + EMOJI + "ш" * 10, [66, 11]),
        ("ш" * 65 + EMOJI + "ш" * 10, [66, 10]),
        ("ш" * 67 + EMOJI + "ш" * 10, [67, 11]),
        (EMOJI + "ш" * 70, [66, 5]),
    ],
    ids=beginning,
)
def test_what_takes_two_units_is_not_split(text: str, sizes: list[int]) -> None:
    assert [len(part) for part in segment(text).parts] == sizes


def test_the_result_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        segment("x").units = 2  # type: ignore[misc]


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        ("\u201cHi\u201d \u2018you\u2019, it\u2019s \u00abhere\u00bb", '"Hi" \'you\', it\'s "here"'),
        ("1\u20132 \u2014 3\u20114 \u2212 5", "1-2 - 3-4 - 5"),
        ("wait\u2026", "wait..."),
        ("\u2022\u00a0one\u2003two\u202fthree\u3000\tfour", "- one two three  four"),
        ("a\u200bb\u200dc\ufeffd\u00ade\u2060f\ufe0fg\u202eh\u2066i", "abcdefghi"),
        ("one\u2028two\u2029three\x85four\vfive", "one\ntwo\nthree\nfour\nfive"),
        ("o\ufb03ce \ufb02at", "office flat"),
        ("\uff21\uff22\uff23\uff01\uff20\uff3e\uff40\uff5e", "ABC!@^'~"),
        ("5 \u2126, 3 \u212a, 1 \u212b", "5 Ω, 3 K, 1 Å"),
        ("cafe\u0301 A\u030angstro\u0308m n\u0303 C\u0327", "café Ångström ñ Ç"),
        ("`code\u00b4", "'code'"),
        ("plain", "plain"),
    ],
)
def test_smart_characters_become_plain(raw: str, plain: str) -> None:
    assert replace_smart_characters(raw) == plain
    found = segment(raw)
    assert (found.encoding, found.text) == ("gsm7", plain)
    assert segment(raw, smart=False).text == raw


@pytest.mark.parametrize("kept", ["ç", "½", "™", "漢", "ш", EMOJI, "c\u0327", "\u0391", "·", "\x1b"])
def test_what_has_a_meaning_of_its_own_is_kept(kept: str) -> None:
    assert replace_smart_characters(kept) == kept


def test_every_replacement_is_gsm_and_no_gsm_character_is_replaced() -> None:
    for character in map(chr, range(0x110000)):
        replaced = replace_smart_characters(character)
        if replaced != character:
            assert character not in BASIC | EXTENSION
            assert set(replaced) <= BASIC | EXTENSION


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"it\u2019s \u2014 {EMOJI}", id="an emoji remains"),
        pytest.param("\u2019\u6f22", id="a han character remains"),
        pytest.param("\u2026" * 70, id="it would take another segment"),
        pytest.param("\u2026" * 470 + "\u2019" * 201, id="it would pass the limit"),
        pytest.param("\u200b\ufeff", id="nothing would be left"),
    ],
)
def test_a_text_that_gains_nothing_is_left_alone(text: str) -> None:
    found = segment(text)
    assert (found.encoding, found.text) == ("ucs2", text)
    assert too_long(found) is None


@pytest.mark.parametrize(
    ("raw", "sent"),
    [
        ("\ud83d", "\ufffd"),
        ("\ude00.", "\ufffd."),
        ("a\ud83d\ud83db", "a\ufffd\ufffdb"),
        ("a\ude00\ud83d", "a\ufffd\ufffd"),
        ("\ud83d\ude00", EMOJI),
        ("\ud83d" + EMOJI, "\ufffd" + EMOJI),
        ("it\u2019s\ud800", "it\u2019s\ufffd"),
    ],
)
def test_half_a_surrogate_pair_is_replaced(raw: str, sent: str) -> None:
    found = segment(raw)
    assert (found.encoding, found.text) == ("ucs2", sent)
    assert found.length == len(sent.encode("utf-16-le")) // 2


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a" * 1600, None),
        ("a" * 1601, ("1,601", "1,600")),
        ("€" * 800, None),
        ("€" * 800 + "a", ("1,601", "1,600")),
        ("ш" * 737, None),
        ("ш" * 738, ("738", "737")),
        (EMOJI * 368, None),
        (EMOJI * 369, ("738", "737")),
        ("a" * 1700 + "\u2019", ("1,701", "1,600")),
    ],
    ids=beginning,
)
def test_the_limits_of_the_api(text: str, complaint: tuple[str, str] | None) -> None:
    sentence = too_long(segment(text))
    if complaint is None:
        assert sentence is None
    else:
        length, limit = complaint
        assert sentence is not None
        assert f"{length} characters long" in sentence
        assert f"the limit is {limit}" in sentence


def test_no_gsm_text_within_the_limit_takes_more_than_11_segments() -> None:
    assert segment("€" * 800).units == 11
    assert segment(("a" + "€" * 76) * 10 + "€" * 35).units == 11


def test_emoji_within_the_limit_may_take_a_12th_segment() -> None:
    found = segment(EMOJI * 368)
    assert found.units == 12
    assert too_long(found) is None


@given(text=texts(), smart=st.booleans())
def test_parts_join_to_the_text_that_is_sent(*, text: str, smart: bool) -> None:
    found = segment(text, smart=smart)
    assert "".join(found.parts) == found.text
    assert found.units == len(found.parts)
    assert found.length == sum(costs(found.text))


@given(texts())
def test_the_alphabet_is_gsm_exactly_when_every_character_is(text: str) -> None:
    found = segment(text, smart=False)
    assert found.encoding == ("gsm7" if set(text) <= BASIC | EXTENSION else "ucs2")


@given(texts())
def test_no_part_is_over_its_budget_or_ends_within_a_character(text: str) -> None:
    found = segment(text)
    single, concatenated = (160, 153) if found.encoding == "gsm7" else (70, 67)
    budget = single if found.units == 1 else concatenated
    for part in found.parts:
        assert part or not text
        if found.encoding == "ucs2":
            assert len(part.encode("utf-16-be", "strict")) <= 2 * budget
        else:
            assert set(part) <= BASIC | EXTENSION
            assert sum(costs(part)) <= budget


@given(texts())
def test_there_are_as_few_parts_as_can_be(text: str) -> None:
    found = segment(text)
    single, concatenated = (160, 153) if found.encoding == "gsm7" else (70, 67)
    assert found.units == fewest_parts(costs(found.text), single, concatenated)


@given(texts())
def test_replacing_smart_characters_never_costs_a_segment(text: str) -> None:
    assert segment(text).units <= segment(text, smart=False).units


@given(texts(surrogates=False))
def test_the_text_is_sent_as_it_is_or_with_every_smart_character_replaced(text: str) -> None:
    assert segment(text, smart=False).text == text
    assert segment(text).text in {text, replace_smart_characters(text)}


@given(texts())
def test_replacing_twice_changes_nothing(text: str) -> None:
    once = replace_smart_characters(text)
    assert replace_smart_characters(once) == once


@given(texts())
def test_what_was_sent_is_segmented_the_same_again(text: str) -> None:
    found = segment(text)
    assert segment(found.text) == found
    assert msgspec.json.decode(msgspec.json.encode(found), type=Segmentation) == found
