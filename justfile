# What people type. `just` lists it; each line is a command that also works without just.

# List the recipes
default:
    @just --list

# The whole pipeline in one process, with an outage in the middle
demo *arguments:
    cargo run -- demo {{arguments}}

# All tests that need only Rust and a C compiler
test *arguments:
    cargo test --workspace {{arguments}}

# Format and lints, as .ci/run asks for them
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# Everything that must hold before a change lands (about 45 minutes on two cores)
ci:
    bash .ci/run

# Any number of simulated days; `just simulate --seed 17 --trace` replays one
simulate *arguments:
    cargo run --release -p daybook-tests --example simulate -- {{arguments}}

# The Lambda functions, for arm64 unless told otherwise
functions *arguments:
    deploy/build {{arguments}}
