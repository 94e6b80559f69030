"""Ways to run the quanta of a graph; each has the same semantics."""
