"""What do HS256, ES256, RS256 and EdDSA cost? Signing, verifying and size of an access token (C7).

Measured in this process; the cluster is not asked.
"""

import time
import timeit
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence

from loadtest.experiments.experiment import Context, WrongAnswer, figure
from loadtest.results import Config, Figure, Row
from loadtest.signed_tokens import KEYS, SignedToken
from loadtest.statistics.estimates import Interval, centre

EXPERIMENT, MACHINE = "algorithms", "machine"

Call = Callable[[], object]
What = tuple[str, str, str]
"""Algorithm, metric, and the part of the work that is measured."""


async def measure(context: Context) -> None:
    """Check every token, then measure all calls in turns."""
    plan, tokens = context.plan, [SignedToken.make(algorithm, time.time()) for algorithm in KEYS]
    for token in tokens:
        _right(token)
        context.record(round=-1, algorithm=token.algorithm, metric="token_size", part="", value=len(token.text))
    blocks = {}
    for token in tokens:
        for what, call in _calls(token).items():
            labels = dict(zip(("algorithm", "metric", "part"), what, strict=True))
            blocks[what] = context.recorded(_block(call, plan.algorithm_seconds), **labels)
    context.progress.start("signing and verifying tokens", plan.algorithm_rounds * len(blocks))
    await context.take_turns(blocks, plan.algorithm_rounds)


def analyse(rows: Sequence[Row], _config: Config) -> list[Figure]:
    """Return CPU per call, and the tokens' sizes."""
    samples, found = defaultdict(list), []
    for row in rows:
        samples[row["algorithm"], row["metric"], row["part"]].append(float(row["value"]))
    for (algorithm, metric, part), values in samples.items():
        if metric == "token_size":
            size = Interval(values[0], None, None, 1)
            found.append(figure(EXPERIMENT, MACHINE, metric, "B", size, algorithm=algorithm))
        else:
            cost = centre(values)
            found.append(figure(EXPERIMENT, MACHINE, metric, "us", cost, algorithm=algorithm, part=part))
    return found


def _right(token: SignedToken) -> None:
    """Raise `WrongAnswer` unless the token is accepted, and its signature with one bit changed is not."""
    signed, signature = token.parts()
    forged = bytes([signature[0] ^ 1]) + signature[1:]
    if token.decode() != token.claims or not token.check(signed, signature)():
        raise WrongAnswer(f"{token.algorithm}: a good token is refused")
    if token.check(signed, forged)():
        raise WrongAnswer(f"{token.algorithm}: a forged signature is accepted")


def _calls(token: SignedToken) -> dict[What, Call]:
    return {
        (token.algorithm, "sign_cpu", "pyjwt"): token.sign,
        (token.algorithm, "verify_cpu", "signature"): token.check(*token.parts()),
        (token.algorithm, "verify_cpu", "pyjwt"): token.decode,
    }


def _block(call: Call, seconds: float) -> Callable[[], Awaitable[Row]]:
    """Return a block that calls for about *seconds* of CPU time and gives a row: microseconds per call."""
    number = _calls_in(call, seconds)

    async def block() -> Row:
        return {"value": 1e6 * _cpu_seconds(call, number) / number}

    return block


def _calls_in(call: Call, seconds: float) -> int:
    """Return how many calls take about *seconds*. What finds out also warms up."""
    number = 1
    while (took := _cpu_seconds(call, number)) < seconds / 2:
        number *= 2
    return max(1, round(number * seconds / took))


def _cpu_seconds(call: Call, number: int) -> float:
    """Return the CPU time of this thread for *number* calls; timeit leaves the garbage collector off meanwhile."""
    return timeit.timeit(call, timer=time.thread_time, number=number)
