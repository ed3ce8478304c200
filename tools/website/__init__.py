"""The static site: pages from the generator, the schema and the documents; a planner that runs the generator itself."""
