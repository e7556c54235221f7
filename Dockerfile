# Airbyte's Python base image (Python 3.13), pinned by digest. `metadata.yaml` names the same one.
ARG BASE_IMAGE=docker.io/airbyte/python-connector-base:4.1.1@sha256:a268b44c733ae699a60f5fbc06a324945dba98945c6e2ab7f8609f2f895b0d28

# --- builder: makes one directory with the connector and everything it needs ---------------------
FROM ${BASE_IMAGE} AS builder
USER root
WORKDIR /build

# The locked requirements first: this layer stays as long as the lock file does. Only wheels, with
# the hashes of the lock file: nothing is compiled.
COPY requirements.txt ./
RUN python -m venv /opt/connector \
    && /opt/connector/bin/pip install --no-cache-dir --only-binary :all: --no-deps --require-hashes -r requirements.txt

# The build backend alone of what the developers' file pins, with its hashes.
COPY requirements-dev.txt ./
RUN sed -n '/^poetry-core==/,/[^\\]$/p' requirements-dev.txt > build.txt \
    && python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --only-binary :all: --no-deps --require-hashes -r build.txt

COPY pyproject.toml README.md LICENSE ./
COPY source_planetscale ./source_planetscale
RUN /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/connector/bin/pip install --no-cache-dir --no-deps --no-index dist/*.whl \
    && /opt/connector/bin/pip check \
    && /opt/connector/bin/source-planetscale spec > /dev/null

# --- final: the base image and that directory ----------------------------------------------------
FROM ${BASE_IMAGE} AS final
COPY --from=builder /opt/connector /opt/connector
WORKDIR /airbyte/integration_code

ENV PATH="/opt/connector/bin:${PATH}" \
    PYTHONUNBUFFERED=1 \
    AIRBYTE_ENTRYPOINT="/opt/connector/bin/source-planetscale"

# Created by the base image.
USER airbyte
ENTRYPOINT ["/opt/connector/bin/source-planetscale"]

LABEL io.airbyte.name=airbyte/source-planetscale \
      io.airbyte.version=0.1.0 \
      org.opencontainers.image.licenses=MIT
