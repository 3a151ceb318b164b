"""Pictures from cameras, and what becomes of them."""
