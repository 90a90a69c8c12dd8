"""Record kinds, one a file: each turns a value into what an Event holds."""
