"""Authentication and admission: keys, passwords, and how many may watch."""
