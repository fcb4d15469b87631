# `just` lists what there is.
default:
    @just --list

# Everything that CI runs.
check:
    .ci/run

# How long decisions and loads take, from ten rules to a million.
bench *arguments:
    cargo bench -- {{arguments}}

# The service, to try things out.
dev:
    cargo run --release -- serve --dev
