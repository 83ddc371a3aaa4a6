"""Made-up material whose truth is known: traces, footage, clips with an overlay drawn in."""
