"""Made-up material whose truth is known: traces of pads, footage, clips with an overlay drawn in."""
