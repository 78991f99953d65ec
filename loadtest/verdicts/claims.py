"""The textbook's claims, and the verdicts that experiments draw on them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from loadtest.results.model import Verdict
from loadtest.results.view import View

NOT_MEASURED = "not measured yet"

Judged = tuple[Verdict, bool]
"""A verdict, and whether it says anything that rests on the experiment `cost`."""

TEXTBOOK = {
    "C1": "Sessions: the server knows who is logged in and can force a logout",
    "C2": "Sessions: a client that changes its data gains nothing",
    "C3": "Sessions: memory and store load grow with users",
    "C4": "Sessions: scaling out by load balancing is hard",
    "C5": "Sessions: cookies are bound to a domain; CORS is hard",
    "C6": "Sessions: several devices need care",
    "C7": "JWT: stateless, lowers server load, scales",
    "C8": "JWT: needs no store and no auth server",
    "C9": "JWT: anybody can read it",
    "C10": "JWT: a weak secret is guessed",
    "C11": "JWT: a stolen token works until it expires",
    "C12": "Access + refresh limits the damage",
}
"""What textbooks say of sessions and JSON Web Tokens, in the order of the report."""


@dataclass(frozen=True)
class Claim:
    """A claim that an experiment judges. *judge*: returns the figures that speak to it and the verdict, or None if the
    run did not measure what it takes. *text*: of a claim that is not in `TEXTBOOK`. *on_cost*: the
    verdict rests on the experiment `cost`, and is withdrawn with it.
    """

    name: str
    judge: Callable[[View], tuple[str, str] | None]
    text: str = ""
    on_cost: bool = False


def claims(view: View, judged: Iterable[Claim]) -> list[Judged]:
    """Return every claim with what this run has to say about it: first the textbook's, then all others."""
    rules = {claim.name: claim for claim in judged}
    texts = TEXTBOOK | {name: claim.text for name, claim in rules.items() if claim.text}
    return [_verdict(view, name, text, rules.get(name)) for name, text in texts.items()]


def _verdict(view: View, name: str, text: str, claim: Claim | None) -> Judged:
    found = claim.judge(view) if claim else None
    figures, verdict = found or ("", NOT_MEASURED)
    return Verdict(name, text, figures, verdict), bool(claim and found and claim.on_cost)
