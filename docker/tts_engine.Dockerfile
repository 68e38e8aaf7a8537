# The speech server. EXTRAS picks the voice: "tts,espeak" on a CPU; "vllm" on a GPU, with a CUDA image as BASE and vllm.lock as LOCK.
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE}
ARG EXTRAS=tts,espeak
ARG LOCK=requirements.lock
# With g++ and Python's headers Triton builds its kernels' launchers as it runs.
# Debian drops old versions from its archive, so pins break builds.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends make python3-dev python3-venv g++ \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /srv/zeng
COPY pyproject.toml Makefile README.md ./
COPY ${LOCK} requirements.lock
COPY bot bot
COPY telephony telephony
COPY tts_engine tts_engine
COPY finetune finetune
# What runs is root's, and the service only reads it.
RUN make .venv/.extras EXTRAS="${EXTRAS}" && .venv/bin/python -m compileall -q bot telephony tts_engine
RUN useradd --create-home --uid 10001 zeng && install -d -o 10001 -g 10001 /run/zeng
USER 10001
ENV PATH=/srv/zeng/.venv/bin:$PATH
EXPOSE 8080/tcp
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --start-period=300s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/readyz', timeout=3)"]
CMD ["zeng", "tts", "serve", "--host", "0.0.0.0", "--port", "8080"]
