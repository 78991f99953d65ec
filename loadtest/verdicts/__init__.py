"""What a run says about the textbook's claims and about our own promises. Pure: results in, verdicts out."""

from collections.abc import Iterable
from dataclasses import replace

from loadtest.results.model import Results, Verdict
from loadtest.results.view import View
from loadtest.verdicts.claims import Claim, claims
from loadtest.verdicts.promises import promises

FORBID_COST = ("null_test", "placebo")
"""The audit rules that withdraw what rests on `cost`: its method saw a difference where there is none."""


def judge(results: Results, judged: Iterable[Claim]) -> list[Verdict]:
    """Return a verdict for every claim, by the rules of those *judged*, and for every promise.

    Those on figures that the audit forbids are withdrawn.
    """
    view = View(results)
    failed = {warning["rule"] for warning in results.warnings}
    because = ", ".join(rule for rule in FORBID_COST if rule in failed)
    return [
        replace(found, withdrawn_by=because) if on_cost else found
        for found, on_cost in claims(view, judged) + promises(view)
    ]
