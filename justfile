# Run `just` to list the recipes.

# List the recipes
default:
    @just --list

# Install the tools of the gate
setup:
    .ci/setup

# Run every check that CI runs
check:
    .ci/run

# Format Rust and TOML files
fmt:
    #!/usr/bin/env bash
    set -euo pipefail
    source .ci/env
    cargo fmt
    taplo fmt

# Run the tests whose names contain a filter: `just test retell`
test *filter:
    cargo test {{filter}}

# Measure decisions, loading and replay, from ten rules to a million
bench *arguments:
    cargo bench -- {{arguments}}

# Serve config/ on loopback with the development key
dev:
    cargo run --release -- serve --dev

# Build the API documentation and open it
doc:
    cargo doc --no-deps --open
