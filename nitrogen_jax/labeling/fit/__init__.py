"""The first reader: which state of the skin's own sprites explains the pixels best. No training."""
