"""The CUDA backend: the solvers' kernels on an NVIDIA GPU, through CuPy."""
