# shellcheck shell=bash
# For the scripts beside this file: $DAYBOOK_BINARY, the `daybook` that they run. Unless one is given it is the one that
# `cargo test --workspace` builds, so that nothing is built twice. To be sourced in the root of the repository.

if [[ -z "${DAYBOOK_BINARY:-}" ]]; then
    cargo test --quiet --workspace --no-run --test manual
    DAYBOOK_BINARY=$PWD/target/debug/daybook
fi
export DAYBOOK_BINARY
