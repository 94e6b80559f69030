"""Between repositories, and between a repository and folders of the user's: export, import, transfer, retrieval."""
