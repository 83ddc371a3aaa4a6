"""From gameplay videos with a controller overlay to labels: skins, locate, parse, refine, run."""
