"""How well labelling works, on clips whose truth is known."""
