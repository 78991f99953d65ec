# Images from one file: `services` (auth, app, one-shot set-up), `loadtest` (Locust) and `demo` (a whole local cluster and
# the live console, in one container).
FROM python:3.13-slim AS python

FROM python AS build-services
COPY services/requirements.txt .
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.txt

FROM python AS build-loadtest
COPY requirements.txt .
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.txt

FROM python AS base
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# A new volume takes over the owner of the folder it is first mounted on: here, for secrets and for Redis's data.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin authscale \
 && install -d -m 700 -o 10001 -g 10001 /secrets /data
WORKDIR /srv
USER 10001:10001

FROM base AS loadtest
COPY --from=build-loadtest /venv /venv
COPY loadtest loadtest
CMD ["locust", "-f", "loadtest/locustfile.py"]

FROM loadtest AS demo
COPY .env ./
COPY deploy deploy
COPY loadbalancer loadbalancer
COPY services services
ENV STATE_DIR=/tmp/state
CMD ["python", "-m", "loadtest", "console", "--host", "0.0.0.0"]

FROM base AS services
COPY --from=build-services /venv /venv
COPY deploy deploy
COPY services services
EXPOSE 8000
