"""Scripts that run emulators in processes of their own, perhaps of another Python."""
