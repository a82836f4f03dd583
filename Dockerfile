# Paramedic's image: one binary, the SSH client it reaches hosts with, certificates. Runs as an account that owns its state only.
#   docker build -t paramedic .
#   docker run --rm paramedic demo
#   docker run -p 127.0.0.1:9911:9911 -e PARAMEDIC_LISTEN=0.0.0.0:9911 -v ./config:/etc/paramedic/config:ro -v paramedic:/var/lib/paramedic paramedic
# (with server.webhook_token set in that configuration: without one it listens on the container's own loopback only)

# Any Debian with a Rust toolchain and a C compiler, and a Debian of the same release or a later one.
ARG BUILD_BASE=docker.io/library/rust:1.95-bookworm
ARG RUN_BASE=docker.io/library/debian:bookworm-slim

FROM ${BUILD_BASE} AS build
# The path, in the build context, of a binary that is built already: it is taken as it is, and BUILD_BASE needs no toolchain.
ARG PREBUILT=
WORKDIR /src
COPY . .
RUN if [ -n "$PREBUILT" ]; then \
        install -D -m 755 "$PREBUILT" target/release/paramedic; \
    else \
        cargo build --release --locked; \
    fi

FROM ${RUN_BASE}
# Nothing is fetched where the base brings both.
RUN if ! command -v ssh >/dev/null || [ ! -s /etc/ssl/certs/ca-certificates.crt ]; then \
        apt-get update \
        && apt-get install -y --no-install-recommends openssh-client ca-certificates \
        && rm -rf /var/lib/apt/lists/*; \
    fi \
    && groupadd --system --gid 911 paramedic \
    && useradd --system --uid 911 --gid 911 --home-dir /var/lib/paramedic --no-create-home --shell /usr/sbin/nologin paramedic \
    && install -d -o paramedic -g paramedic -m 700 /var/lib/paramedic
COPY --from=build /src/target/release/paramedic /usr/local/bin/paramedic
COPY config /etc/paramedic/config
USER paramedic
# Relative paths of a configuration (`data/…`) are below the state folder.
WORKDIR /var/lib/paramedic
# Everybody outside the container may knock only where a webhook token is set; without one it is loopback, and the log says so.
ENV PARAMEDIC_CONFIG=/etc/paramedic/config/paramedic.yaml \
    PARAMEDIC_LISTEN=0.0.0.0:9911
VOLUME /var/lib/paramedic
EXPOSE 9911
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/paramedic"]
CMD ["serve"]
