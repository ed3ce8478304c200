"""What a model is used for beside plain chat: adapters, tools, drafts, embeddings. Pure but for `resolving`."""
