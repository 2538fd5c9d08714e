#!/usr/bin/env bash
# Installs everything into .venv at the versions of constraints.txt. Does nothing if nothing changed.
set -euo pipefail
cd "$(dirname "$0")/.."

extras="${EXTRAS:-serve,talk,lora,quantize,traces,s3,postgres,dev}"
programs=(espeak-ng flite)
stamp=.venv/.installed
wanted="$(cat pyproject.toml constraints.txt infra/setup.sh | sha256sum | cut -d' ' -f1) $extras"

fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

has_python() { "$1" -c 'import ensurepip, sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; }

find_python() {
  for candidate in "${PYTHON:-python3.11}" python3 python; do
    if has_python "$candidate"; then echo "$candidate"; return; fi
  done
  return 1
}

install_programs() {
  local missing=()
  for program in "${programs[@]}"; do
    command -v "$program" >/dev/null || missing+=("$program")
  done
  [ -x .venv/bin/python ] || find_python >/dev/null || missing+=(python3.11 python3.11-venv)
  [ ${#missing[@]} -eq 0 ] && return
  local command="apt-get install -y --no-install-recommends ${missing[*]}"
  command -v apt-get >/dev/null || fail "please install ${missing[*]}, then try again"
  [ "$(id -u)" -eq 0 ] || fail "these programs are missing: ${missing[*]}; type: sudo $command"
  echo "setup: $command"
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive $command >/dev/null
  # real human speech for one of the tests of the model; everything works without it
  apt-get install -y --no-install-recommends pocketsphinx-testdata >/dev/null 2>&1 || true
}

free_gb() { df -Pk . | awk 'NR == 2 { print int($4 / 1000000) }'; }

# one of the measures of sound is built from C
can_compile() {
  command -v cc >/dev/null && "$1" -c 'import os, sys, sysconfig as s; sys.exit(not os.path.isfile(s.get_path("include") + "/Python.h"))'
}

install_packages() {
  [ "$(free_gb)" -ge 8 ] || fail "$(free_gb) GB free here, the packages need 8 GB"
  local python
  python="$(find_python)" || fail "Python 3.11 is needed; install it or name it: make PYTHON=/path/to/python3.11"
  .venv/bin/python -c '' 2>/dev/null || "$python" -m venv --clear .venv
  if can_compile "$python"; then extras+=",measures"; else echo "setup: no C compiler or no Python.h here, the measure PESQ is left out"; fi
  local started=$SECONDS
  echo "setup: installing the packages of constraints.txt into .venv (a few minutes)"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv pip
  local index  # uv does not read pip's configuration
  index="$(.venv/bin/python -m pip config get global.index-url 2>/dev/null || true)"
  [ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
  .venv/bin/uv pip install --compile-bytecode --python .venv/bin/python -c constraints.txt -e ".[$extras]"
  echo "$wanted" > "$stamp"
  echo "setup: done in $((SECONDS - started)) s"
}

install_programs
[ "$(cat "$stamp" 2>/dev/null || true)" = "$wanted" ] || install_packages
# a copy without git history: DVC works, except for its experiments and diffs
[ -e .git ] || .venv/bin/dvc config --local core.no_scm true
