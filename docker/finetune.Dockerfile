# Training. Start with a CUDA base image on a GPU host: --build-arg BASE=nvidia/cuda:13.0.1-runtime-ubuntu24.04
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE}
# Debian drops old versions from its archive, so pins break builds.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends make python3-venv g++ \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /srv/zeng
COPY pyproject.toml requirements.lock Makefile README.md ./
COPY bot bot
COPY telephony telephony
COPY tts_engine tts_engine
COPY finetune finetune
RUN make .venv/.extras EXTRAS=finetune,quality && .venv/bin/python -m compileall -q bot telephony tts_engine finetune
RUN useradd --create-home --uid 10001 zeng && install -d -o zeng -g zeng /runs
USER 10001
ENV PATH=/srv/zeng/.venv/bin:$PATH
# Recordings come and runs go here: docker run --gpus all --user "$(id -u)" -e HOME=/tmp -v "$PWD:/runs" ...
WORKDIR /runs
ENTRYPOINT ["zeng", "finetune"]
