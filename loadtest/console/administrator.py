"""Calls at the auth service that take an administrator."""

from collections.abc import Callable

import aiohttp

from loadtest.cluster.protocol import ClusterError
from loadtest.load.client import Account, Answer, Client, Strategy

NAME = "admin"


class Administrator:
    """Logs in when first needed, and again when told to. *password* is asked for then. Calls raise `ClusterError`."""

    def __init__(self, url: str, password: Callable[[], str], connector: aiohttp.BaseConnector) -> None:
        self._password = password
        self._client = Client(url, Strategy("", "token", "/auth/login", frozenset()), connector)

    async def close(self) -> None:
        """Forget the token."""
        await self._client.close()

    async def log_out(self, user_id: str) -> None:
        """End all logins of a user."""
        await self._post(f"/auth/admin/users/{user_id}/logout")

    async def disable(self, user_id: str) -> None:
        """Disable an account and end its logins."""
        await self._post(f"/auth/admin/users/{user_id}/disable")

    async def enable(self, user_id: str) -> None:
        """Let a disabled account log in again."""
        await self._post(f"/auth/admin/users/{user_id}/enable")

    async def rotate_keys(self) -> None:
        """Plan that another key signs."""
        await self._post("/auth/admin/keys/rotate")

    async def _post(self, path: str) -> None:
        answer = await self._client.call("POST", path) if self._client.access_token else Answer(401)
        if answer.status == 401:
            await self._client.login(Account(NAME, self._password()))
            answer = await self._client.call("POST", path)
        if answer.status >= 300 or not answer.status:
            detail = answer.body.get("detail", "") if isinstance(answer.body, dict) else ""
            raise ClusterError(f"POST {path.replace('/auth/admin', '…')}: status {answer.status or 'none'}. {detail}")
