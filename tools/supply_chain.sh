#!/bin/sh
# Usage: supply_chain.sh audit|sbom
# audit: compares the locked requirements with the advisories known to the package index.
# sbom:  writes dist/sbom.cdx.json, the software bill of materials of the connector (CycloneDX).
# Both tools live in an environment of their own, so that they do not appear in what they describe.
set -eu
cd "$(dirname "$0")/.."

venv=build/supply-chain
if [ ! -e $venv/installed ]; then
    tools/make_venv.sh "$(tools/find_python.sh)" $venv
    $venv/bin/pip install --quiet pip-audit==2.10.1 cyclonedx-bom==7.5.0
    touch $venv/installed
fi

case ${1-} in
audit)
    # --strict: a package that could not be looked up is a failure, not a pass.
    exec $venv/bin/pip-audit --strict --require-hashes --disable-pip --requirement requirements.txt
    ;;
sbom)
    # Described from an installation, which knows versions, licences and who needs whom.
    rm -rf build/installed
    tools/make_venv.sh "$(tools/find_python.sh)" build/installed
    build/installed/bin/pip install --quiet --no-deps --require-hashes --requirement requirements.txt
    build/installed/bin/pip install --quiet --no-deps --no-index dist/*.whl
    build/installed/bin/pip uninstall --quiet --yes pip
    exec $venv/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type application \
        --output-reproducible --output-format JSON --output-file dist/sbom.cdx.json \
        build/installed/bin/python
    ;;
*)
    echo "usage: $0 audit|sbom" >&2
    exit 2
    ;;
esac
