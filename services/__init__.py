"""The HTTP service: BentoML process, OpenAI-shaped routes, web page."""
