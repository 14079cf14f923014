//! What crosses crates: end to end and simulation.
