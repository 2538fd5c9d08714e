"""Lightning modules, the one way to fit them, and optimisers."""
