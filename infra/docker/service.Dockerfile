# Serves the champion. Build at the project root:
#   docker build -f infra/docker/service.Dockerfile -t moss-speech-service .
FROM python:3.11-slim-bookworm

WORKDIR /app
COPY constraints.txt pyproject.toml README.md ./
RUN pip install --no-cache-dir -c constraints.txt uv
COPY src src
RUN uv pip install --system --no-cache -c constraints.txt -e ".[serve,s3,postgres]"

COPY dvc.yaml params.yaml ./
COPY services services
RUN useradd --uid 1000 --create-home moss && mkdir -p .moss && chown -R moss:moss /app
USER 1000

ENV MOSS_ROOT=/app \
    BENTOML_HOME=/app/.moss/bentoml \
    BENTOML_DO_NOT_TRACK=True \
    DO_NOT_TRACK=1 \
    MLFLOW_DISABLE_TELEMETRY=true
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:3000/readyz', timeout=4)"]
CMD ["bentoml", "serve", "--host", "0.0.0.0", "--port", "3000"]
