"""Run one replica: `python -m services.app`.

The environment configures it: see `AppSettings`, and each strategy's file for its own settings.
"""

from services.app.application import create_app
from services.app.settings import AppSettings
from services.common.http.server import serve

if __name__ == "__main__":
    serve(AppSettings, create_app)
