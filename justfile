# `just` lists what there is.
default:
    @just --list

# Everything that CI runs.
check:
    .ci/run

# The service, to try things out.
dev:
    cargo run --release -- serve --dev
