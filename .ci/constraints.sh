#!/usr/bin/env bash
# Writes constraints.txt: the version of each package, all extras and groups included, for Python 3.11 to 3.14.
# Run it to take newer versions; `uv` is on PyPI. What it changes is tested like any other change.
set -euo pipefail

cd "$(dirname "$0")/.."
{
  echo "# The versions that the project is tested with. Written by .ci/constraints.sh; use it with pip install -c."
  uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 --all-extras --group docs --group together \
    --no-header --no-annotate --no-emit-index-url --no-emit-find-links
} > constraints.txt.new
mv constraints.txt.new constraints.txt
