"""Run the auth service: `python -m services.auth`, set up by the environment (see `settings`)."""

from services.auth.application import create_app
from services.auth.settings import AuthSettings
from services.common.http.server import run
from services.common.settings import read_settings

if __name__ == "__main__":
    settings = read_settings(AuthSettings)
    run(create_app(settings), host=settings.host, port=settings.port, drain_seconds=settings.drain_seconds)
