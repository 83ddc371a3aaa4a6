"""nitrogen_jax: watch players, label what they pressed, learn a policy, play games, score it.

Importing the package loads nothing heavy: neither JAX nor OpenCV.
"""

__version__ = "0.1.0"
