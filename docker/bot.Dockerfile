# The edge, its workers and the recogniser. The steps are the Makefile's own.
FROM python:3.11-slim-bookworm
# Debian drops old versions from its archive, so pins break builds.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends make libstdc++6 \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /srv/zeng
COPY pyproject.toml requirements.lock Makefile README.md ./
COPY bot bot
COPY telephony telephony
COPY tts_engine tts_engine
COPY finetune finetune
# Where whoever runs the image finds the models; left to itself, root would keep them in its own home.
ENV ZENG_MODELS__CACHE_DIR=/srv/zeng/models
# What runs is root's, and the service only reads it.
RUN make .venv/.demo && .venv/bin/zeng models fetch && .venv/bin/python -m compileall -q bot telephony tts_engine
RUN useradd --create-home --uid 10001 zeng
USER 10001
ENV PATH=/srv/zeng/.venv/bin:$PATH
EXPOSE 7860/tcp 5060/udp 5060/tcp 5061/tcp
# The service drains its calls on SIGTERM for [workers] drain_s, 30 s by default; whoever stops it must wait longer.
STOPSIGNAL SIGTERM
# Whether it lives. /readyz is for a balancer: it says no while all places are taken, and whatever ends containers that
# are not well (Swarm, Podman, ECS) would cut a full house.
HEALTHCHECK --interval=10s --start-period=60s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/livez', timeout=3)"]
CMD ["zeng", "serve", "--config", "/etc/zeng/zeng.toml"]
