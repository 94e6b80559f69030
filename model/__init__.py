"""The vocabulary: dimensions, data IDs, dataset types, storage classes, timespans, regions, errors.

Nothing here does input or output, and nothing heavy is imported.
"""
