"""Shipped support for tests and demonstrations.

A simulated camera and night on disk (`sky_simulator.simulate`), and the records of a tiny camera without any pixels
(`small_repository.fill_repository`).
"""
