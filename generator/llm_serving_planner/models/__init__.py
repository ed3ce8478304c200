"""Facts about a model, from the Hugging Face Hub, a local folder or the embedded catalogue."""
