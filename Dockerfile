# The image: the program, the four shared libraries it needs, CA certificates, and nothing else.
#
#   docker build -t switchboard .
#   docker run -p 8080:8080 -v ./config:/etc/switchboard:ro -v records:/var/lib/switchboard \
#     --env-file secrets.env switchboard
#
# Mount a folder with switchboard.toml and rules.toml at /etc/switchboard, readable for uid 65532.
# No config and no secret is in the image: without a mount it says so, and exits with 2.

ARG BUILD_IMAGE=rust:1.95-slim-bookworm
FROM ${BUILD_IMAGE} AS build
WORKDIR /src
# .dockerignore is an allowlist. rust-toolchain.toml is not on it: this image's own compiler builds,
# and nothing fetches rustfmt and clippy for that.
COPY . .
# The caches outlive this step, so a change of the source does not compile the dependencies again.
# They are not part of the image, hence the copy, in the same step and under the lock.
# touch, for cargo goes by time: source older than the cached build, as from a tarball, would not
# be built again.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    touch src/lib.rs src/main.rs && cargo build --release --locked \
    && cp target/release/switchboard /switchboard
# The final image's root. ldd knows the libraries and the loader, on every architecture;
# --parents keeps their paths, where the loader looks without being told. The certificates are for
# `send` to https, and for `health`: its client does not start without any.
RUN mkdir -p /rootfs /records/data && cp --parents --dereference \
        $(ldd /switchboard | grep -o '/[^ ]*') /etc/ssl/certs/ca-certificates.crt /rootfs \
    && echo 'switchboard:x:65532:65532::/:/sbin/nologin' > /rootfs/etc/passwd \
    && cp /switchboard /rootfs/

# No shell, no package manager: nothing for an intruder to use, and nothing to patch but libc.
FROM scratch
COPY --from=build /rootfs /
# Where the records are by default: data/switchboard.db. A volume, so that the root can be read-only.
COPY --from=build --chown=65532:65532 /records /var/lib/switchboard
WORKDIR /var/lib/switchboard
VOLUME /var/lib/switchboard
USER 65532:65532
# Loopback, the default, is not reachable from outside a container. This wins over `listen` in the
# settings file. The admin listener stays on the container's loopback: see config/default.toml.
ENV SWITCHBOARD__SERVER__LISTEN=0.0.0.0:8080
EXPOSE 8080
# The program itself, for there is no shell or curl. It reads the same settings, so it follows the
# port; it needs no secrets. (Podman and Buildah keep this line only with --format docker.)
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/switchboard", "health"]
# Requests in flight get [server] shutdown_grace_ms, 9.5 s, to finish; Docker kills after 10 s too,
# so give it some more: docker stop -t 15, or stop_grace_period.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/switchboard"]
CMD ["serve"]
