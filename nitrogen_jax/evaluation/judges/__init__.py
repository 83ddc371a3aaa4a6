"""What judges read of a running game: memory, logs, files, exit codes, rewards."""
