"""The neural reader: elements in canonical slots, a SegFormer over them, and how it is trained."""
