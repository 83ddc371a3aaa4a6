"""What controller overlays look like: one neutral form, importers, drawing, a library of many."""
