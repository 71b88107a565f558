"""How much goes over a link at a time, learned from what the peer says."""

from ringback.carriers.smpp.window import Window

SECOND_US = 1_000_000


def answered(window: Window, times: int, *, congestion: int | None = None, now_us: int = 0) -> int:
    for _ in range(times):
        window.answered(now_us, congestion)
    return window.allowed


def test_a_peer_that_is_congested_gets_half_and_no_less_at_once() -> None:
    window = Window(16)
    assert answered(window, 8, congestion=100) == 8
    # Answers to what went before say nothing new.
    assert answered(window, 8, congestion=100, now_us=SECOND_US // 4) == 8
    assert answered(window, 1, congestion=100, now_us=SECOND_US) == 4
    assert window.held_until_us == 0


def test_a_peer_that_is_nearly_congested_gets_less_and_less_and_then_more() -> None:
    window = Window(16)
    assert answered(window, 20, congestion=95) == 14
    assert answered(window, 1000, congestion=99) == 1
    assert answered(window, 1000, congestion=80) == 16
