"""SkyButler."""
