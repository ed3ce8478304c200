"""Files that follow from another file: the schema, the values reference, the dashboards."""
