#!/usr/bin/env bash
# Removes what can be made again, and says so: infra/clean.sh [all]
set -euo pipefail
cd "$(dirname "$0")/.."

leftovers=(runs site .dvc/tmp .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
  .hypothesis .coverage)
products=(data models reports .dvc/cache dvc.lock)
[ "${1:-}" = all ] && leftovers+=("${products[@]}")

found=()
for path in "${leftovers[@]}"; do
  [ -e "$path" ] && found+=("$path")
done
if [ ${#found[@]} -eq 0 ]; then
  echo "clean: nothing to remove"
else
  du -shc -- "${found[@]}"
  rm -rf -- "${found[@]}"
  echo "clean: removed the above"
fi
echo "clean: kept: .venv, .moss (registry, databases, downloaded weights)$(
  [ "${1:-}" = all ] || echo ", ${products[*]} (ALL=1 removes them)")"
