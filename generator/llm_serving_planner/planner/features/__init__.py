"""What is served beside plain generation: adapters, drafts, tools, templates, pooling."""
