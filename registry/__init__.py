"""The SQL side: tables, collections, dimension records, datasets, provenance and queries. No file is touched here."""
