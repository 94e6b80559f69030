"""Shipped support for tests and demonstrations: a simulated camera and night (`sky_simulator.simulate`)."""
