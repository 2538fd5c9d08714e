# Trains and promotes: a Prefect worker with the project's code. Build at the project root:
#   docker build -f infra/docker/worker.Dockerfile -t moss-speech-worker .
FROM python:3.11-slim-bookworm

SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends espeak-ng flite git make \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /app
COPY constraints.txt pyproject.toml README.md ./
RUN pip install --no-cache-dir -c constraints.txt uv
COPY src src
RUN uv pip install --system --no-cache -c constraints.txt -e ".[s3,postgres]"

COPY .dvc/config .dvc/config
COPY .dvcignore dvc.yaml params.yaml prefect.yaml withdrawn.jsonl ./
COPY flows flows
COPY presets presets
COPY canary canary
COPY services services
RUN dvc config --local core.no_scm true \
    && useradd --uid 1000 --create-home moss \
    && mkdir -p .moss .dvc/cache data models reports runs \
    && chown -R moss:moss /app
USER 1000

ENV MOSS_ROOT=/app \
    DO_NOT_TRACK=1 \
    DVC_NO_ANALYTICS=1 \
    MLFLOW_DISABLE_TELEMETRY=true \
    PREFECT_SERVER_ANALYTICS_ENABLED=false
CMD ["bash", "-c", "export PREFECT_API_URL=$MOSS_PREFECT_API_URL && prefect work-pool create moss-speech --type process --overwrite && prefect --no-prompt deploy --all && exec prefect worker start --pool moss-speech --type process"]
