"""The two services of the cluster: `auth` issues tokens and checks passwords, `app` serves my page."""

__version__ = "0.1.0"
