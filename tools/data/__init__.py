"""Facts that the package ships: one command per table, which says where it reads from."""
