"""Where in a video is an overlay, and which one of a library of skins."""
