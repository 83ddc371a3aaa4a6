"""Several commands one after the other, as one: the quick start and the studies."""
