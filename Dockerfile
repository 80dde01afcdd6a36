# `make image`, or `docker build -t audio-stream-sidecar .`: how to run it is in docs/docker.md, why it is built so in docs/adr/0045.
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
WORKDIR /src
COPY requirements.lock requirements-build.lock ./
RUN python -m venv --without-pip /opt/sidecar \
    && python -m pip --python /opt/sidecar/bin/python install --no-cache-dir --no-deps --only-binary :all: \
       --require-hashes --requirement requirements.lock
RUN python -m pip install --no-cache-dir --no-deps --only-binary :all: --require-hashes --requirement requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY examples/freeswitch examples/freeswitch
COPY sip sip
COPY rtp rtp
COPY sidecar sidecar
RUN python -m pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /opt/wheels . \
    && python -m pip --python /opt/sidecar/bin/python install --no-cache-dir --no-deps --no-index /opt/wheels/*.whl \
    && python -m pip --python /opt/sidecar/bin/python check

FROM python:${PYTHON}
ARG VERSION=0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="audio-stream-sidecar" \
      org.opencontainers.image.description="The media server that connects any stock FreeSWITCH to any voice bot" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# Nothing is written: the root file system may be read-only, and the user needs no name.
ENV PATH=/opt/sidecar/bin:$PATH HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
COPY --from=build /opt/sidecar /opt/sidecar
COPY docker/sidecar.toml /etc/sidecar/sidecar.toml
COPY docker/healthy.py /opt/sidecar/healthy.py
USER 10001:10001
EXPOSE 5070/udp 5070/tcp 5071/tcp 8080/tcp 40000/udp 40001/udp
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 CMD ["python", "/opt/sidecar/healthy.py"]
ENTRYPOINT ["sidecar"]
CMD ["serve", "--config", "/etc/sidecar/sidecar.toml"]
