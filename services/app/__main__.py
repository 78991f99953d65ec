"""Serve one replica: `python -m services.app`, configured by environment variables (see `AppSettings`)."""

from services.app.application import create_app
from services.app.settings import AppSettings
from services.common.http.server import run
from services.common.settings import read_settings

if __name__ == "__main__":
    settings = read_settings(AppSettings)
    run(create_app(settings), host=settings.host, port=settings.port, drain_seconds=settings.drain_seconds)
