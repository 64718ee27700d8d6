"""Home of the transforms that work on a whole batch; a module in this package registers its own."""
