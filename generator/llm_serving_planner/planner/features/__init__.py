"""Everything a model can serve beside plain generation: adapters, drafts, tools, templates, pooling."""
