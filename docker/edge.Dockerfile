# Kamailio and rtpengine before the bots; compose.edge.yaml starts each in a container of its own (docs/edge.md).
FROM debian:bookworm-slim
# Debian drops old versions from its archive, so pins break builds.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      kamailio kamailio-extra-modules kamailio-tls-modules kamailio-websocket-modules rtpengine-daemon \
 && rm -rf /var/lib/apt/lists/*
# The configuration is mounted at /etc/kamailio: users' passwords do not belong into an image.
COPY --chmod=755 docker/edge_health.sh /usr/local/bin/zeng-edge-health
RUN mkdir -p /run/kamailio && chown kamailio:kamailio /run/kamailio
EXPOSE 5060/udp 5060/tcp 5061/tcp 8088/tcp 8089/tcp
CMD ["kamailio", "-f", "/etc/kamailio/kamailio.cfg", "-DD", "-E", "-m", "128", "-M", "16", "-u", "kamailio", "-g", "kamailio"]
