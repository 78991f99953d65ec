"""Run the auth service: `python -m services.auth`. The environment configures it, see `AuthSettings`."""

from services.auth.application import create_app
from services.auth.settings import AuthSettings
from services.common.http.server import serve

if __name__ == "__main__":
    serve(AuthSettings, create_app)
