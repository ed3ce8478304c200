"""What a model is: its facts, from the Hugging Face Hub, a folder or the embedded catalogue."""
