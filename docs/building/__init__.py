"""The site: the pages of docs/ and results/, a reference of packages and commands, and a gallery, in ``build/docs``."""
