//! Sockets, clock, idle strategies, affinity.
