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
RUN make .venv/.demo && .venv/bin/zeng models fetch
RUN useradd --create-home --uid 10001 zeng && chown -R zeng /srv/zeng
USER 10001
ENV PATH=/srv/zeng/.venv/bin:$PATH
EXPOSE 7860/tcp 5060/udp 5060/tcp 5061/tcp
# The service drains its calls on SIGTERM; give it the longest call (compose: stop_grace_period).
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --start-period=60s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/readyz', timeout=3)"]
CMD ["zeng", "serve", "--config", "/etc/zeng/zeng.toml"]
