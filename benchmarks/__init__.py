"""Speed and memory of bptt beside PyTorch and JAX on the same cores; see README.md."""
