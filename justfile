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

# Compare verdicts on signatures with the platforms' libraries and a reference of Synthflow's scheme
differential count="100000" seed="1" vendor_count="100000":
    cargo build --quiet --locked --example verify
    npm --prefix tests/differential ci --silent
    node tests/differential/retell.mjs {{count}} {{seed}}
    python3 tests/differential/synthflow.py {{count}} {{seed}}
    python3 -m venv target/differential
    target/differential/bin/pip install --quiet --requirement tests/differential/requirements.txt
    target/differential/bin/python tests/differential/vendors.py {{vendor_count}} {{seed}}

# Fuzz a target, or all in turn, for some seconds each: `just fuzz rules 600`
fuzz target="all" seconds="60":
    #!/usr/bin/env bash
    set -euo pipefail
    # The program contains SQLite twice under the same names, by way of two crates.
    export ASAN_OPTIONS=detect_odr_violation=0
    targets={{target}}
    [ "$targets" != all ] || targets=$(cargo +nightly fuzz list)
    for target in $targets; do
        mkdir -p "fuzz/corpus/$target"
        # What is new goes to the first directory; the seeds are only read.
        cargo +nightly fuzz run "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
            -max_total_time={{seconds}} -timeout=10 -rss_limit_mb=2048 -malloc_limit_mb=64 -max_len=16384
    done

# Serve config/ on loopback with the development key
dev:
    cargo run --release -- serve --dev

# Build the API documentation and open it
doc:
    cargo doc --no-deps --open
