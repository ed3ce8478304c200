"""GPU memory of one engine process, term by term, in bytes. Pure arithmetic."""
