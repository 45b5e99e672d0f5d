# Marks this directory as package `fastflow` for Cython.
