"""Who may watch."""
