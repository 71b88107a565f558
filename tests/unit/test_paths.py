import pytest

from ringback.web.api.paths import canonical

ID = "MAXXXXXXXXXXXXXXXXXX"


@pytest.mark.parametrize(
    "path",
    [
        f"/v1/Account/{ID}/Message/",
        f"/v1/Account/{ID}/Message",
        f"/V1/ACCOUNT/{ID.lower()}/message/",
        f"//v1//Account/{ID}//Message//",
    ],
)
def test_one_route_for_every_way_to_write_it(path: str) -> None:
    assert canonical(path) == f"/v1/account/{ID}/message/"


def test_ids_keep_their_case() -> None:
    assert canonical(f"/v1/Account/{ID}/Message/AbC/Media/DeF") == f"/v1/account/{ID}/message/AbC/media/DeF/"


def test_bins_have_names_in_lower_case() -> None:
    assert canonical("/V1/Bins//My-Bin/Captures/7/Body") == "/v1/bins/my-bin/captures/7/body/"
    assert canonical("/v1/BINS") == "/v1/bins/"


def test_a_word_that_stands_where_ids_do_is_a_fixed_part() -> None:
    assert canonical(f"/v1/Account/{ID}/Callback/Replay/AbC") == f"/v1/account/{ID}/callback/replay/abc/"
    assert canonical(f"/v1/Account/{ID}/Callback/AbC/Resend") == f"/v1/account/{ID}/callback/AbC/resend/"
    assert canonical(f"/v1/Account/{ID}/Message/Replay") == f"/v1/account/{ID}/message/Replay/"


@pytest.mark.parametrize("path", ["/hooks/Demo/sms_status", "/dashboard/", "/", "/v10/Account"])
def test_other_paths_are_left_alone(path: str) -> None:
    assert canonical(path) == path
