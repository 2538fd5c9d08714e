"""Where speech comes from: the embedded domain, audio folders, packaged human recordings."""
