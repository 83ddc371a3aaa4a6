"""A policy plays a game: the loop, what is seen of it, what is written of it; without JAX.

mind     a policy behind `Playback` (the game waits) or `RealTime` (it does not)
person   takes over while they touch their gamepad
loop     one episode: frame -> pad -> frame
records  videos, actions and labels of what was played
sketch   the picture with pad and chunk beside it; `panel` says the same in words
"""
