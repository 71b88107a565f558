"""Why a signature does or does not fit, for people: what was tried, the nearest miss, and the likely cause in words.

A signature that does not fit says nothing by itself. So the request is verified again as it would have been before
something went wrong on the way: another scheme, host or port in the URL, a body written anew, another source's token.
The first change that makes a signature fit is the cause, and proven. Where none does, what is left is said as likely.

Nothing secret is shown: tokens are named by their place, and of signatures only the beginning.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from ringback.receiver.event import Arrived
from ringback.receiver.guesses import Guess, other_bodies, other_urls
from ringback.receiver.sources.port import Judgement, Provider, Terms, Text

SHOWN: Final = 6
"""Characters of a signature that are shown: enough to tell one from another, far too few to use it."""
MOST_TEXTS: Final = 60
MOST_URLS: Final = 240


class Named(msgspec.Struct, frozen=True):
    """A secret and what to call it where it must not be shown."""

    name: str
    secret: str


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """One text that was tried."""

    scheme: str
    rule: str
    url: str
    text: str
    signatures: tuple[tuple[str, str], ...]
    """(name of the token, beginning of the signature that it gives)."""
    fits: str = ""
    """The name of the token whose signature is one of those offered."""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to say about a request's signature."""

    verdict: str
    accepted: bool
    offered: tuple[tuple[str, str], ...]
    """(header, beginning of the signature)."""
    nonces: tuple[tuple[str, str], ...]
    tried: tuple[Tried, ...]
    left_out: int
    """Further texts that were tried."""
    cause: str
    """In words; what to do about it is part of it."""
    proven: bool
    """Whether the signature fits once the cause is undone."""
    nearest: Tried | None = None
    """What would have fitted."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request and what it is judged by."""

    provider: Provider
    request: Arrived
    urls: Sequence[str]
    tokens: Sequence[Named]
    terms: Terms
    others: Sequence[Named] = ()
    """Tokens of other sources and accounts, to find out whose it is."""

    @property
    def secrets(self) -> list[str]:
        """The tokens themselves."""
        return [token.secret for token in self.tokens]


def masked(signature: str) -> str:
    """Return the beginning of a signature."""
    return signature if len(signature) <= SHOWN else f"{signature[:SHOWN]}…"


def explain(asked: Asked) -> Explanation:
    """Explain what came of verifying a request."""
    judged = asked.provider.verify(asked.request, asked.urls, asked.secrets, asked.terms)
    offered = asked.provider.offered(asked.request)
    texts = [*asked.provider.texts(asked.request, asked.urls, asked.secrets)]
    accepted = bool(judged.verified_by and not judged.objection)
    cause, proven, nearest = _cause(asked, judged)
    return Explanation(
        verdict=judged.objection or judged.verified_by,
        accepted=accepted,
        offered=tuple((header, masked(signature)) for header, signature in offered),
        nonces=tuple(
            (name, value)
            for name, value in asked.request.headers.items()
            if name.endswith("-nonce") or name in {"webhook-id", "webhook-timestamp"}
        ),
        tried=tuple(_shown(text, asked.tokens, offered) for text in texts[:MOST_TEXTS]),
        left_out=max(len(texts) - MOST_TEXTS, 0),
        cause=cause,
        proven=proven,
        nearest=nearest,
    )


def _shown(text: Text, tokens: Sequence[Named], offered: Sequence[tuple[str, str]]) -> Tried:
    there = {signature for _, signature in offered}
    fits = [token.name for token, ours in zip(tokens, text.signatures, strict=True) if ours in there]
    return Tried(
        scheme=text.scheme,
        rule=text.rule,
        url=text.url,
        text=text.text,
        signatures=tuple((token.name, masked(ours)) for token, ours in zip(tokens, text.signatures, strict=True)),
        fits=fits[0] if fits else "",
    )


SAID: Final = {
    "v2_only": "Signed with V2 alone, and this source has require_v3: have the provider send V3, or end that setting",
    "v1_only": "Signed with V1 alone, and this source has require_v3: have the provider send V3, or end that setting",
    "incomplete": "A parameter comes twice, and what was signed holds only one of its values: anybody could have added "
    "the other",
    "no_signature": "No signature came with the request: a stranger sent it, or a proxy has taken the headers away",
    "no_nonce": "A signature came without its nonce, or without its id and time: a proxy has taken that header away",
    "too_old": "The signature is right, and its time is too far from ours: a replay, a queue on the way, or a clock "
    "that is wrong",
}


def _cause(asked: Asked, judged: Judgement) -> tuple[str, bool, Tried | None]:
    if judged.verified_by and not judged.objection:
        return f"The signature {judged.verified_by} fits", True, None
    if judged.objection in SAID:
        return SAID[judged.objection], judged.objection != "no_signature", None
    if not asked.tokens:
        return "This source has no token, so nothing can be verified: give it tokens or account", True, None
    for guess in _guesses(asked):
        if _fits(asked, guess):
            return guess.cause, True, _nearest(asked, guess)
    return _left(asked), False, None


def _guesses(asked: Asked) -> Iterator[Guess]:
    """Give what may have gone wrong, the most common first, and two things at once at the end."""
    urls = [guess for guess, _ in zip(other_urls(asked.request, asked.urls), range(MOST_URLS), strict=False)]
    yield from (Guess(token.name, asked.request, tuple(asked.urls), (token.secret,)) for token in _foreign(asked))
    yield from urls
    bodies = list(other_bodies(asked.request))
    for body in bodies:
        yield Guess(body.cause, body.request, tuple(asked.urls))
    for token in _foreign(asked):
        for url in urls:
            yield Guess(f"{token.name}; also: {url.cause}", url.request, url.urls, (token.secret,))


def _foreign(asked: Asked) -> list[Named]:
    ours = set(asked.secrets)
    found = [
        Named(f"Signed with {other.name}: the request came to the wrong source, or that token is missing here",
              other.secret)
        for other in asked.others
        if other.secret not in ours
    ]  # fmt: skip
    for token in asked.tokens:
        trimmed = token.secret.strip().strip("'\"")
        if trimmed != token.secret:
            words = f"{token.name} has blanks or quotes around it that do not belong to it: take them away"
            found.append(Named(words, trimmed))
    return found


def _fits(asked: Asked, guess: Guess) -> bool:
    terms = msgspec.structs.replace(asked.terms, require_v3=False)
    secrets = guess.secrets or asked.secrets
    judged = asked.provider.verify(guess.request, guess.urls, secrets, terms)
    # What V2 says about a URL holds for V3 too: a guess about the body has to make V3 fit.
    return bool(judged.verified_by and judged.objection in {"", "incomplete"})


def _nearest(asked: Asked, guess: Guess) -> Tried | None:
    tokens = [Named("that token", secret) for secret in guess.secrets] or asked.tokens
    offered = asked.provider.offered(guess.request)
    secrets = [token.secret for token in tokens]
    shown = (_shown(text, tokens, offered) for text in asked.provider.texts(guess.request, guess.urls, secrets))
    return next((text for text in shown if text.fits), None)


def _left(asked: Asked) -> str:
    """Say what is likely where no guess fits: V2 holds for the URL and the token alone."""
    alone = asked.request.altered(
        headers=[(name, value) for name, value in asked.request.pairs if "-v3" not in name.lower()]
    )
    if asked.provider.verify(alone, asked.urls, asked.secrets, asked.terms).verified_by == "v2":
        return (
            "URL and token are right, as V2 fits, and V3 does not: what the request says, or its V3 nonce, was changed "
            "on the way, or by somebody who has seen another request"
        )
    return (
        "No token that is known here fits, with any URL that this request may have been sent to. Likely: it was signed "
        "with another token, one that has been rotated away or a subaccount's. Compare the tokens of this source with "
        "those of the provider's console. If they are the same, the body was changed on the way"
    )
