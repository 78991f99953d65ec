"""The control: no login at all. The costs of all other strategies are measured against it."""

from aiohttp import web

from services.app.parts import Parts
from services.app.strategy import Capability, Facts, Info, Kind, User

ANYBODY = User("anonymous", "anonymous")


class Anonymous:
    """Treats everybody as the same user."""

    def __init__(self, name: str) -> None:
        self.info = Info(
            name,
            Kind.CONTROL,
            description="No login: the control that the others are compared with",
            capabilities=frozenset({Capability.ANY_REPLICA}),
            choose_when="Choose it when the page is the same for everybody: it protects nothing.",
            facts=Facts(state="nowhere: the control", request="the page", without_auth="nothing"),
        )

    async def user(self, request: web.Request) -> User:  # noqa: ARG002  # the protocol's
        """Return the only user."""
        return ANYBODY

    async def logout(self, request: web.Request, response: web.Response) -> None:
        """Do nothing: nobody is logged in."""


def create(name: str, parts: Parts, app: web.Application) -> Anonymous:  # noqa: ARG001  # a Factory
    """Return the strategy."""
    return Anonymous(name)
