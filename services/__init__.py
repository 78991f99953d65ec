"""The two services of the cluster: `auth` issues tokens and checks passwords, `app` serves my page."""
