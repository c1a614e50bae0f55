//! Deterministic simulation of Slipway against fake clusters.
