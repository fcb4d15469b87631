# Container image with the program, the shared libraries it links, CA certificates and nothing else.
#
#   docker build -t switchboard .
#   docker run -p 8080:8080 -v ./config:/etc/switchboard:ro -v records:/var/lib/switchboard \
#     --env-file secrets.env switchboard
#
# Mount a directory with switchboard.toml and rules.toml at /etc/switchboard; uid 65532 must be able
# to read it. The image contains no configuration and no secret. Without the mount the program
# prints an error and exits with status 2.

ARG BUILD_IMAGE=rust:1.95-slim-bookworm
FROM ${BUILD_IMAGE} AS build
# Features of Cargo.toml to compile in, separated by commas.
ARG FEATURES="otlp"
WORKDIR /src
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    cargo install --quiet --locked cargo-auditable@0.7.7
# .dockerignore is an allowlist. It leaves out rust-toolchain.toml, so the compiler of this image
# builds, and rustup does not download rustfmt and clippy.
COPY . .
# The cache mounts outlive this step, so a source change does not recompile the dependencies. They
# are not part of the image; the binary is therefore copied in the same step, under the same lock.
# Cargo compares modification times. `touch` makes it rebuild sources that are older than the
# cached build, for example from a tarball.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    touch src/lib.rs src/main.rs && .ci/build "$FEATURES" && cp target/release/switchboard /switchboard
RUN deploy/image/rootfs /switchboard /rootfs && mkdir -p /records/data

# No shell and no package manager: an attacker finds no tools, and only libc needs patches.
FROM scratch
COPY --from=build /rootfs /
# Default location of the records: data/switchboard.db. A volume, so that the root file system can
# be read-only.
COPY --from=build --chown=65532:65532 /records /var/lib/switchboard
WORKDIR /var/lib/switchboard
VOLUME /var/lib/switchboard
USER 65532:65532
# The default, loopback, is not reachable from outside a container. This variable overrides `listen`
# in the settings file. The admin listener stays on the container's loopback; see
# config/default.toml.
ENV SWITCHBOARD__SERVER__LISTEN=0.0.0.0:8080
EXPOSE 8080
# The image has no shell and no curl, so the program checks itself. `health` reads the same settings
# and therefore the same port; it needs no secrets. Podman and Buildah keep this instruction only
# with --format docker.
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/switchboard", "health"]
# Requests in flight have [server] shutdown_grace_ms, 9.5 s by default, to finish. Docker kills after
# 10 s; allow more with `docker stop -t 15` or stop_grace_period.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/switchboard"]
CMD ["serve"]
