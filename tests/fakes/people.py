"""Users and sessions as tests make them."""

from ringback.model.passwords import hashed_of_person
from ringback.store.logins import Session
from ringback.store.users import User

PASSWORD = "a word that nobody knows"
HASHED = hashed_of_person(PASSWORD, bytes(16))


def session(number: int = 1, *, now_us: int, expires_at_us: int | None = None, **fields: object) -> Session:
    """Return a session that lasts an hour."""
    return Session(
        **{
            "id": f"00000000-0000-4000-8000-{number:012d}",
            "user_id": None,
            "account_id": None,
            "opened_by": "link",
            "created_at_us": now_us,
            "seen_at_us": now_us,
            "expires_at_us": now_us + 3_600_000_000 if expires_at_us is None else expires_at_us,
            "address": "127.0.0.1",
            "browser": "a browser",
            **fields,
        }
    )


def user(name: str = "ada", account_id: str | None = None, *, now_us: int = 0, **fields: object) -> User:
    """Return a user whose password is ``PASSWORD``."""
    return User(
        **{
            "id": f"id of {name}",
            "name": name,
            "kind": "operator" if account_id is None else "account",
            "account_id": account_id,
            "password_hash": HASHED,
            "created_at_us": now_us,
            **fields,
        }
    )
