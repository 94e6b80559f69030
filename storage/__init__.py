"""Everything files: the datastore, the paths, and the formatters that turn objects into files and back."""
