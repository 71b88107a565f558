"""How long wrong passwords keep somebody out."""

from ringback.web.dashboard.throttle import FREE_OF_ADDRESS, FREE_OF_NAME, LONGEST_WAIT_S, MOST, Throttle

SECOND = 1_000_000
HOUR = 3_600 * SECOND


def waits(throttle: Throttle, tries: int, *, name: str = "ada", address: str = "192.0.2.1") -> list[int]:
    """Return the wait after each of so many wrong passwords, each made as soon as it may be."""
    now_us, found = 0, []
    for _ in range(tries):
        throttle.wrong(name, address, now_us)
        found.append(throttle.wait_s(name, address, now_us))
        now_us += found[-1] * SECOND
    return found


def test_each_wait_is_twice_as_long_up_to_a_bound() -> None:
    found = waits(Throttle(), 18)
    assert found[:9] == [0, 0, 0, 0, 1, 2, 4, 8, 16]
    assert found[-3:] == [LONGEST_WAIT_S] * 3


def test_a_name_is_counted_from_all_addresses_and_an_address_with_all_names() -> None:
    throttle = Throttle()
    for number in range(FREE_OF_NAME):
        throttle.wrong("ada", f"192.0.2.{number}", 0)
    assert throttle.wait_s("ada", "203.0.113.1", 0) == 1
    assert throttle.wait_s("bob", "192.0.2.1", 0) == 0
    for number in range(FREE_OF_ADDRESS):
        throttle.wrong(f"name {number}", f"2001:db8::{number}", 0)
    assert throttle.wait_s("bob", "2001:db8::ffff", 0) == 1
    assert throttle.wait_s("bob", "2001:db8:0:1::", 0) == 0


def test_wrong_ones_are_forgotten_after_a_right_one_and_after_an_hour() -> None:
    throttle = Throttle()
    waits(throttle, FREE_OF_NAME - 1)
    throttle.right("ada")
    assert waits(throttle, FREE_OF_NAME - 1)[-1] == 0
    throttle.wrong("ada", "", HOUR + SECOND)
    assert throttle.wait_s("ada", "", HOUR + SECOND) == 0


def test_a_wait_is_news_once() -> None:
    throttle = Throttle()
    waits(throttle, FREE_OF_NAME)
    assert [throttle.is_news("ada", "192.0.2.1") for _ in range(3)] == [True, False, False]
    throttle.wrong("ada", "192.0.2.1", 2 * SECOND)
    assert throttle.is_news("ada", "192.0.2.1")


def test_what_is_remembered_is_bounded() -> None:
    throttle = Throttle()
    waits(throttle, FREE_OF_NAME)
    for number in range(MOST):
        throttle.wrong(f"name {number}", f"{number}", 0)
    assert throttle.wait_s("ada", "192.0.2.1", 0) == 0
