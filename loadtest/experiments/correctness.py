"""Right before fast: does every strategy answer as it must? Raises `WrongAnswer`; then nothing is measured."""

from collections.abc import Sequence

import aiohttp

from loadtest.experiments.experiment import BasePlan, Context, Experiment, WrongAnswer, expect
from loadtest.load.client import Account, Answer, Client, Strategy, register
from loadtest.results.model import Config, Figure, Row

NAME = "correctness"


async def measure(context: Context, _plan: BasePlan) -> None:
    """Check every strategy, a new account for each."""
    context.progress.start("checking every strategy's answers", len(context.strategies))
    async with aiohttp.TCPConnector() as connector:
        for strategy in context.strategies:
            checked = await (_control if strategy.is_control else _login)(context, strategy, connector)
            context.record(strategy=strategy.name, answers=checked)
            context.progress.advance()


def analyse(rows: Sequence[Row], _config: Config) -> list[Figure]:
    """Return how many answers were checked."""
    return [Figure(NAME, row["strategy"], "answers_checked", "count", row["answers"], n=row["answers"]) for row in rows]


async def _control(context: Context, strategy: Strategy, connector: aiohttp.BaseConnector) -> int:
    async with context.client(strategy, connector) as client:
        is_page(strategy, await client.mypage(), None)
    return 1


async def _login(context: Context, strategy: Strategy, connector: aiohttp.BaseConnector) -> int:
    async with context.client(strategy, connector) as client:
        account = await register(client)
        expect(strategy, "my page without a login", await client.mypage(), 401)
        wrong = await client.login(Account(account.username, account.password + "x"))
        expect(strategy, "login with a wrong password", wrong, 401)
        expect(strategy, "login", await client.login(account), 200)
        pages = 2 * len(context.cluster.replicas())
        for _ in range(pages):
            is_page(strategy, await client.mypage(), account)
        return 3 + pages + await _visits(strategy, client) + await _logout(strategy, client)


async def _visits(strategy: Strategy, client: Client) -> int:
    if "visits" not in strategy.capabilities:
        return 0
    for expected in (1, 2, 3):
        answer = await client.visits()
        expect(strategy, "visits", answer, 200)
        if answer.body != {"visits": expected}:
            raise WrongAnswer(f"{strategy.name}: visit {expected} was counted as {answer.body!r}")
    return 3


async def _logout(strategy: Strategy, client: Client) -> int:
    if "logout" not in strategy.capabilities:
        return 0
    expect(strategy, "logout", await client.logout(), 204)
    expect(strategy, "my page with a credential from before the logout", await client.mypage(), 401)
    return 2


def is_page(strategy: Strategy, answer: Answer, account: Account | None) -> None:
    """Raise `WrongAnswer` unless *answer* is *account*'s page, or with None anybody's, under *strategy*."""
    expect(strategy, "my page", answer, 200)
    if answer.body.get("strategy") != strategy.name:
        raise WrongAnswer(f"{strategy.name}: my page is answered by strategy {answer.body.get('strategy')!r}")
    if account and answer.body["user"]["name"] != account.username:
        raise WrongAnswer(f"{strategy.name}: my page is another user's")
    if not answer.replica:
        raise WrongAnswer(f"{strategy.name}: my page says nothing of the replica (X-Replica)")


EXPERIMENT = Experiment(
    name=NAME,
    question="Does every strategy answer as it must?",
    quick=BasePlan(),
    full=BasePlan(),
    seconds=(2, 2),
    measure=measure,
    analyse=analyse,
    method=(
        "Right before fast: every strategy's answers are checked before anything is timed, and every answer is checked "
        "during the measurement. Timings of a strategy that gave wrong answers are not shown.",
    ),
)
